/**
 * The name in BasicSR's RRDBNet (xinntao/BasicSR, archs/rrdbnet_arch.py) of a module of an ESRGAN file in the older
 * layout, where the network is a nested Sequential, or undefined if it is none.
 *
 * @param outerModules Numbers of the modules `model.N` that have weights, ascending: first and last convolutions and
 *   the upsamplers between, one for each doubling of size.
 */
export function rrdbModule(module: string, outerModules: readonly number[]): string | undefined {
  const dense = /^model\.1\.sub\.(\d+)\.RDB(\d)\.conv(\d)\.0$/.exec(module);
  if (dense) return `body.${dense[1]}.rdb${dense[2]}.conv${dense[3]}`;
  if (/^model\.1\.sub\.\d+$/.test(module)) return 'conv_body';
  const outer = /^model\.(\d+)$/.exec(module);
  if (!outer) return undefined;
  const place = outerModules.indexOf(Number(outer[1]));
  if (place === 0) return 'conv_first';
  if (place === outerModules.length - 1) return 'conv_last';
  if (place === outerModules.length - 2) return 'conv_hr';
  return `conv_up${place}`;
}

/** The modules of the layout between the two that are called otherwise in BasicSR's RRDBNet. */
const TRUNK_MODULES: ReadonlyMap<string, string> = new Map([
  ['trunk_conv', 'conv_body'],
  ['HRconv', 'conv_hr'],
]);

/**
 * The name in BasicSR's RRDBNet of a module of an ESRGAN file in the layout between the two: blocks in `RRDB_trunk`, one
 * `upconv` for each doubling of size (xinntao/ESRGAN, RRDBNet_arch.py).
 */
export function rrdbTrunkModule(module: string): string {
  const dense = /^RRDB_trunk\.(\d+)\.RDB(\d)\.conv(\d)$/.exec(module);
  if (dense) return `body.${dense[1]}.rdb${dense[2]}.conv${dense[3]}`;
  return TRUNK_MODULES.get(module) ?? module.replace(/^upconv(?=\d+$)/, 'conv_up');
}

/** The numbers {@link rrdbModule} needs. */
export function rrdbOuterModules(names: Iterable<string>): number[] {
  const numbers: number[] = [];
  for (const name of names) {
    const found = /^model\.(\d+)\.weight$/.exec(name);
    if (found) numbers.push(Number(found[1]));
  }
  return numbers.sort((a, b) => a - b);
}
