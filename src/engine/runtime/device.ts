import { AppError } from '#protocol/error.ts';
import type { BackendChoice } from '#protocol/engine-worker.ts';

/** What the maths will run on. */
export interface ChosenBackend {
  device: GPUDevice | null;
  description: string;
}

/** ONNX Runtime's flash attention (1.30) counts keys twice in smaller subgroups, such as SwiftShader's of four. */
const SMALLEST_SUBGROUP = 8;

/** Features that make ONNX Runtime's kernels faster where the adapter has them. */
function wantedFeatures({ features, info }: GPUAdapter): GPUFeatureName[] {
  const wanted: GPUFeatureName[] = [];
  if (features.has('shader-f16')) wanted.push('shader-f16');
  if (features.has('subgroups') && (info.subgroupMinSize ?? 0) >= SMALLEST_SUBGROUP) wanted.push('subgroups');
  return wanted;
}

/** Limits below which large weights and images do not fit; requested at the adapter's maximum. */
const RAISED_LIMITS = [
  'maxBufferSize',
  'maxStorageBufferBindingSize',
  'maxStorageBuffersPerShaderStage',
  'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupSizeX',
  'maxComputeWorkgroupSizeY',
  'maxComputeWorkgroupSizeZ',
  'maxComputeWorkgroupsPerDimension',
] as const;

/** Software adapters are correct but far slower than the wasm provider. */
function isSoftware(adapter: GPUAdapter): boolean {
  return adapter.info.isFallbackAdapter || /swiftshader|llvmpipe|basic render/i.test(describe(adapter));
}

function describe(adapter: GPUAdapter): string {
  const { vendor, architecture, device, description } = adapter.info;
  return (
    [vendor, architecture, device, description].filter((part) => part !== '').join(' ') || 'unnamed adapter'
  );
}

async function openDevice(adapter: GPUAdapter): Promise<GPUDevice> {
  return adapter.requestDevice({
    requiredFeatures: wantedFeatures(adapter),
    requiredLimits: Object.fromEntries(RAISED_LIMITS.map((limit) => [limit, adapter.limits[limit]])),
  });
}

/**
 * Chooses between WebGPU and the CPU and opens the device. `auto` takes the GPU unless its adapter is a
 * software one.
 * @throws AppError `unsupported_feature` when WebGPU is required and there is none
 */
export async function chooseBackend(choice: BackendChoice): Promise<ChosenBackend> {
  if (choice === 'wasm') return { device: null, description: 'CPU, as chosen' };
  const gpu = 'gpu' in navigator ? navigator.gpu : undefined;
  const adapter = (await gpu?.requestAdapter({ powerPreference: 'high-performance' })) ?? null;
  if (adapter === null) {
    if (choice === 'webgpu') {
      throw new AppError(
        'unsupported_feature',
        'This browser has no WebGPU adapter. Choose Automatic or CPU (wasm) in Settings.',
      );
    }
    return { device: null, description: 'CPU: no WebGPU adapter' };
  }
  if (choice === 'auto' && isSoftware(adapter)) {
    return { device: null, description: `CPU: the WebGPU adapter is software (${describe(adapter)})` };
  }
  return { device: await openDevice(adapter), description: describe(adapter) };
}

/** The build for a backend: JSPI where the browser has it, Asyncify elsewhere, the small one for the CPU. */
export function chooseBuild(device: GPUDevice | null): 'jspi' | 'webgpu' | 'wasm' {
  if (device === null) return 'wasm';
  return 'Suspending' in WebAssembly ? 'jspi' : 'webgpu';
}
