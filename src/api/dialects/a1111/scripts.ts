import { alwaysOnScripts } from './always-on.ts';
import type { ScriptControl } from './script-controls.ts';
import { IMG2IMG_SCRIPTS, TXT2IMG_SCRIPTS } from './scripts/index.ts';

interface ListedScript {
  name: string;
  isAlwaysOn: boolean;
  args: readonly ScriptControl[];
}

/** What can be run, in lower case as the original lists it. */
function listedScripts(isImg2img: boolean): ListedScript[] {
  const selectable = isImg2img ? IMG2IMG_SCRIPTS : TXT2IMG_SCRIPTS;
  return [
    ...alwaysOnScripts(isImg2img).map(({ name, args }) => ({ name, isAlwaysOn: true, args })),
    ...selectable.flatMap((script) =>
      'needs' in script
        ? []
        : [{ name: script.title.toLowerCase(), isAlwaysOn: false, args: script.controls }],
    ),
  ];
}

/** `GET /scripts`: what can be run. */
export const SCRIPTS = {
  txt2img: listedScripts(false).map(({ name }) => name),
  img2img: listedScripts(true).map(({ name }) => name),
};

/** `GET /script-info`. */
export const SCRIPT_INFO = [false, true].flatMap((isImg2img) =>
  listedScripts(isImg2img).map(({ name, isAlwaysOn, args }) => ({
    name,
    is_alwayson: isAlwaysOn,
    is_img2img: isImg2img,
    args: args.map(({ label, value, minimum = null, maximum = null, step = null, choices = null }) => ({
      label,
      value,
      minimum,
      maximum,
      step,
      choices,
    })),
  })),
);
