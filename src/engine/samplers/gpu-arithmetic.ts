/** A weighted slice of a buffer. */
export interface WeightedSlice {
  weight: number;
  buffer: GPUBuffer;
  /** In values, not bytes. */
  offset: number;
}

const WORKGROUP_SIZE = 64;
/** One binding each; devices guarantee eight storage buffers, and one is written. */
const SLICES_PER_PASS = 7;
const EACH_SLICE = Array.from({ length: SLICES_PER_PASS }, (_, k) => k);
/** Length, target offset, slices, padding; then eight offsets, weights and rests of weights, one unused. */
const PARAMETER_BYTES = 16 + 3 * 32;

/*
 * The CPU machine sums in float64. Here a pair of float32 numbers does as well: each product and sum is kept with
 * what its rounding left out, and a weight with its float32 rounding error. An adaptive sampler takes its step
 * sizes from differences of nearly equal sums, so that plain float32 would end in another image.
 * Source: Dekker 1971, "A floating-point technique for extending the available precision".
 */
const COMBINE = /* wgsl */ `
struct Parameters {
  length: u32,
  target_offset: u32,
  slices: u32,
  padding: u32,
  offsets: array<vec4u, 2>,
  weights: array<vec4f, 2>,
  rests: array<vec4f, 2>,
}
@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read_write> result: array<f32>;
${EACH_SLICE.map((k) => `@group(0) @binding(${k + 2}) var<storage, read> slice${k}: array<f32>;`).join('\n')}

fn upper_half(a: f32) -> f32 {
  let scaled = 4097.0 * a;
  return scaled - (scaled - a);
}

fn exact_product(a: f32, b: f32) -> vec2f {
  let product = a * b;
  let a_high = upper_half(a);
  let a_low = a - a_high;
  let b_high = upper_half(b);
  let b_low = b - b_high;
  return vec2f(product, ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low);
}

fn exact_sum(a: f32, b: f32) -> vec2f {
  let sum = a + b;
  let added = sum - a;
  return vec2f(sum, (a - (sum - added)) + (b - added));
}

fn add_term(sum: vec2f, k: u32, value: f32) -> vec2f {
  let product = exact_product(parameters.weights[k / 4][k % 4], value);
  let next = exact_sum(sum.x, product.x);
  return vec2f(next.x, sum.y + next.y + product.y + parameters.rests[k / 4][k % 4] * value);
}

@compute @workgroup_size(${WORKGROUP_SIZE})
fn combine(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.x + id.y * groups.x * ${WORKGROUP_SIZE}u;
  if (i >= parameters.length) { return; }
  var sum = vec2f();
${EACH_SLICE.map((k) => `  if (parameters.slices > ${k}u) { sum = add_term(sum, ${k}u, slice${k}[parameters.offsets[${k >> 2}][${k % 4}] + i]); }`).join('\n')}
  result[parameters.target_offset + i] = sum.x + sum.y;
}
`;

const BLEND = /* wgsl */ `
@group(0) @binding(0) var<storage, read_write> result: array<f32>;
@group(0) @binding(1) var<storage, read> mask: array<f32>;
@group(0) @binding(2) var<storage, read> inside: array<f32>;
@group(0) @binding(3) var<storage, read> outside: array<f32>;

@compute @workgroup_size(${WORKGROUP_SIZE})
fn blend(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.x + id.y * groups.x * ${WORKGROUP_SIZE}u;
  if (i >= arrayLength(&result)) { return; }
  result[i] = mask[i] * inside[i] + (1.0 - mask[i]) * outside[i];
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
  /** `target[i] = mask[i] · inside[i] + (1 − mask[i]) · outside[i]` for i < length. The target must differ from the others. */
  blend(target: GPUBuffer, length: number, mask: GPUBuffer, inside: GPUBuffer, outside: GPUBuffer): void;
}

/** Compiles the kernels for a device. */
export function createGpuArithmetic(device: GPUDevice): GpuArithmetic {
  const combinePipeline = compile(COMBINE);
  // Most runs have no mask.
  let blendPipeline: GPUComputePipeline | undefined;
  const widest = device.limits.maxComputeWorkgroupsPerDimension;
  // Bindings a pass does not read still need a buffer.
  const unread = allocate(1);

  function allocate(length: number): GPUBuffer {
    return device.createBuffer({
      size: Math.max(4, length * 4),
      usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST,
    });
  }

  function compile(code: string): GPUComputePipeline {
    return device.createComputePipeline({
      layout: 'auto',
      compute: { module: device.createShaderModule({ code }) },
    });
  }

  /** Runs a kernel once for each of `length` values. */
  function dispatch(pipeline: GPUComputePipeline, length: number, buffers: readonly GPUBuffer[]): void {
    const entries = buffers.map((buffer, binding) => ({ binding, resource: { buffer } }));
    const groups = Math.ceil(length / WORKGROUP_SIZE);
    const columns = Math.min(groups, widest);
    const encoder = device.createCommandEncoder();
    const compute = encoder.beginComputePass();
    compute.setPipeline(pipeline);
    compute.setBindGroup(0, device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries }));
    compute.dispatchWorkgroups(columns, Math.ceil(groups / columns));
    compute.end();
    device.queue.submit([encoder.finish()]);
  }

  function pass(target: GPUBuffer, offset: number, length: number, slices: readonly WeightedSlice[]): void {
    const parameters = device.createBuffer({
      size: PARAMETER_BYTES,
      usage: GPUBufferUsage.UNIFORM,
      mappedAtCreation: true,
    });
    const mapped = parameters.getMappedRange();
    new Uint32Array(mapped, 0, 4).set([length, offset, slices.length, 0]);
    new Uint32Array(mapped, 16, 8).set(slices.map((slice) => slice.offset));
    new Float32Array(mapped, 48, 8).set(slices.map((slice) => slice.weight));
    new Float32Array(mapped, 80, 8).set(slices.map(({ weight }) => weight - Math.fround(weight)));
    parameters.unmap();
    const sources = EACH_SLICE.map((k) => slices[k]?.buffer ?? unread);
    dispatch(combinePipeline, length, [parameters, target, ...sources]);
    // Freed once the queue is through with it.
    parameters.destroy();
  }

  return {
    allocate,
    upload: (buffer, values) => device.queue.writeBuffer(buffer, 0, new Float32Array(values)),
    async download(buffer, length) {
      const staging = device.createBuffer({
        size: length * 4,
        usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
      });
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
    blend(target, length, ...sources) {
      blendPipeline ??= compile(BLEND);
      dispatch(blendPipeline, length, [target, ...sources]);
    },
  };
}
