import { alwaysOnScripts } from './always-on.ts';
import { httpException } from './errors.ts';

/** `GET /scripts`: what can be run. */
export const SCRIPTS = {
  txt2img: alwaysOnScripts(false).map(({ name }) => name),
  img2img: alwaysOnScripts(true).map(({ name }) => name),
};

/** `GET /script-info`. */
export const SCRIPT_INFO = [false, true].flatMap((isImg2img) =>
  alwaysOnScripts(isImg2img).map(({ name, args }) => ({
    name,
    is_alwayson: true,
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

/** Refuses a script that is not there. @throws AppError in the original's words */
export function refuseUnknownScript(selected: string | null): void {
  if (selected !== null && selected !== '' && selected.toLowerCase() !== 'none') {
    throw httpException(422, `Script '${selected}' not found`);
  }
}
