/** A weighted slice of a buffer. */
export interface WeightedSlice {
  weight: number;
  buffer: GPUBuffer;
  /** In values, not bytes. */
  offset: number;
}

const WORKGROUP_SIZE = 64;
/** One binding each; devices promise eight storage buffers, one of which is written. */
const SLICES_PER_PASS = 4;
/** length, target offset, slices, padding; offsets; weights. */
const PARAMETER_BYTES = 48;

const COMBINE = /* wgsl */ `
struct Parameters {
  length: u32,
  target_offset: u32,
  slices: u32,
  padding: u32,
  offsets: vec4u,
  weights: vec4f,
}
@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read_write> result: array<f32>;
@group(0) @binding(2) var<storage, read> slice0: array<f32>;
@group(0) @binding(3) var<storage, read> slice1: array<f32>;
@group(0) @binding(4) var<storage, read> slice2: array<f32>;
@group(0) @binding(5) var<storage, read> slice3: array<f32>;

@compute @workgroup_size(${WORKGROUP_SIZE})
fn combine(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.x + id.y * groups.x * ${WORKGROUP_SIZE}u;
  if (i >= parameters.length) { return; }
  var sum = 0.0;
  if (parameters.slices > 0u) { sum += parameters.weights.x * slice0[parameters.offsets.x + i]; }
  if (parameters.slices > 1u) { sum += parameters.weights.y * slice1[parameters.offsets.y + i]; }
  if (parameters.slices > 2u) { sum += parameters.weights.z * slice2[parameters.offsets.z + i]; }
  if (parameters.slices > 3u) { sum += parameters.weights.w * slice3[parameters.offsets.w + i]; }
  result[parameters.target_offset + i] = sum;
}
`;

/** Arithmetic on float32 buffers of a device. */
export interface GpuArithmetic {
  /** A buffer of so many values, zero at first. */
  allocate(length: number): GPUBuffer;
  upload(buffer: GPUBuffer, values: Float32Array): void;
  download(buffer: GPUBuffer, length: number): Promise<Float32Array>;
  /**
   * `target[offset + i] = Σ weight · slice[i]` for i < length. The target must not be among the slices: a device
   * does not read and write a buffer in one pass.
   */
  combine(target: GPUBuffer, offset: number, length: number, slices: readonly WeightedSlice[]): void;
}

/** Compiles the kernels for a device. */
export function createGpuArithmetic(device: GPUDevice): GpuArithmetic {
  const module = device.createShaderModule({ code: COMBINE });
  const pipeline = device.createComputePipeline({ layout: 'auto', compute: { module, entryPoint: 'combine' } });
  const layout = pipeline.getBindGroupLayout(0);
  const widest = device.limits.maxComputeWorkgroupsPerDimension;
  // Bindings a pass does not read still need a buffer.
  const unread = allocate(1);

  function allocate(length: number): GPUBuffer {
    return device.createBuffer({
      size: Math.max(4, length * 4),
      usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST,
    });
  }

  function pass(target: GPUBuffer, offset: number, length: number, slices: readonly WeightedSlice[]): void {
    const parameters = device.createBuffer({ size: PARAMETER_BYTES, usage: GPUBufferUsage.UNIFORM, mappedAtCreation: true });
    const mapped = parameters.getMappedRange();
    new Uint32Array(mapped, 0, 4).set([length, offset, slices.length, 0]);
    new Uint32Array(mapped, 16, 4).set(slices.map((slice) => slice.offset));
    new Float32Array(mapped, 32, 4).set(slices.map((slice) => slice.weight));
    parameters.unmap();
    const sources = Array.from({ length: SLICES_PER_PASS }, (_, i) => slices[i]?.buffer ?? unread);
    const bindings = [parameters, target, ...sources].map((buffer, binding) => ({ binding, resource: { buffer } }));
    const groups = Math.ceil(length / WORKGROUP_SIZE);
    const columns = Math.min(groups, widest);
    const encoder = device.createCommandEncoder();
    const compute = encoder.beginComputePass();
    compute.setPipeline(pipeline);
    compute.setBindGroup(0, device.createBindGroup({ layout, entries: bindings }));
    compute.dispatchWorkgroups(columns, Math.ceil(groups / columns));
    compute.end();
    device.queue.submit([encoder.finish()]);
    // Freed once the queue is through with it.
    parameters.destroy();
  }

  return {
    allocate,
    upload: (buffer, values) => device.queue.writeBuffer(buffer, 0, new Float32Array(values)),
    async download(buffer, length) {
      const staging = device.createBuffer({ size: length * 4, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
      const encoder = device.createCommandEncoder();
      encoder.copyBufferToBuffer(buffer, 0, staging, 0, length * 4);
      device.queue.submit([encoder.finish()]);
      await staging.mapAsync(GPUMapMode.READ);
      const values = new Float32Array(staging.getMappedRange()).slice();
      staging.destroy();
      return values;
    },
    combine(target, offset, length, slices) {
      pass(target, offset, length, slices.slice(0, SLICES_PER_PASS));
      for (let done = SLICES_PER_PASS; done < slices.length; done += SLICES_PER_PASS - 1) {
        // Longer sums go on from what there is, through a buffer that may be read.
        const sofar = allocate(length);
        pass(sofar, 0, length, [{ weight: 1, buffer: target, offset }]);
        pass(target, offset, length, [
          { weight: 1, buffer: sofar, offset: 0 },
          ...slices.slice(done, done + SLICES_PER_PASS - 1),
        ]);
        sofar.destroy();
      }
    },
  };
}
