import type { BackendInfo } from './engine-host.ts';
import type { ModelFamily } from './model.ts';
import type { Settings, SettingValue } from './settings.ts';

/** The setting that a measurement is kept in: what it was measured on, and multiply-adds per second. */
const SPEED_SETTING = 'app.speed';

/** What a measurement holds for: another GPU, or the CPU, is another device. */
function nameOf({ provider, description, float16 }: BackendInfo): string {
  return [provider, description, ...(float16 ? ['float16'] : [])].join(' ');
}

/** A measurement as a setting. @param speed multiply-adds per second */
export function speedSetting(backend: BackendInfo, speed: number): Readonly<Record<string, SettingValue>> {
  return { [SPEED_SETTING]: [nameOf(backend), speed] };
}

/** Multiply-adds per second as they were measured on this backend; null where they were not. */
export function readSpeed(settings: Settings, backend: BackendInfo): number | null {
  const kept = settings[SPEED_SETTING];
  if (!Array.isArray(kept)) return null;
  const [name, speed] = kept as readonly SettingValue[];
  return name === nameOf(backend) && typeof speed === 'number' && speed > 0 ? speed : null;
}

/**
 * Multiply-adds per second that a device may have, without a measurement: an integrated GPU of some years ago, or a CPU core
 * with 128-bit vectors.
 */
export function guessSpeed(backend: Pick<BackendInfo, 'provider'>, cores: number): number {
  return backend.provider === 'webgpu' ? 500e9 : 6e9 * Math.min(cores, 8);
}

/**
 * Multiply-adds of one evaluation of the UNet for one row, and of decoding an image, at the family's own size: convolutions,
 * linear layers and attention of the configurations on the Hugging Face hub, counted layer by layer.
 */
const WORK: Readonly<Partial<Record<ModelFamily, { evaluation: number; decoding: number }>>> = {
  sd1: { evaluation: 402e9, decoding: 1257e9 },
  sd2: { evaluation: 402e9, decoding: 1257e9 },
  sdxl: { evaluation: 3381e9, decoding: 5235e9 },
  'sdxl-refiner': { evaluation: 3643e9, decoding: 5235e9 },
};

/** Multiply-adds of an image of a family at its own size; null where they are not known. Guidance takes every step twice. */
export function workOf(
  family: ModelFamily,
  { steps, guidanceScale }: { steps: number; guidanceScale: number },
): number | null {
  const work = WORK[family];
  return work ? steps * (guidanceScale > 1 ? 2 : 1) * work.evaluation + work.decoding : null;
}
