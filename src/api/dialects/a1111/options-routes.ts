import { findModel, selectedModel } from '#api/models.ts';
import { route } from '#api/route.ts';
import type { SettingValue } from '#protocol/settings.ts';
import { pythonException } from './errors.ts';
import { titleOf } from './lists.ts';
import { effectiveOptions, isOption, optionTable, readOption } from './options.ts';
import { optionsBody } from './schema.ts';

/** Folders of the server may not be set from outside; the hash follows from the model. */
const NOT_SET_BY_API = /^(outdir_|sd_checkpoint_hash$)/;

const readOptions = route({
  method: 'GET',
  path: '/sdapi/v1/options',
  summary: 'All options',
  run: (call) =>
    call.ask(async (host) => {
      const model = selectedModel(await host.models());
      return {
        ...effectiveOptions(await host.settings()),
        sd_model_checkpoint: model ? titleOf(model) : null,
        sd_checkpoint_hash: model?.sha256 ?? '',
      };
    }),
});

const changeOptions = route({
  method: 'POST',
  path: '/sdapi/v1/options',
  summary: 'Change options',
  body: optionsBody,
  parameters: optionTable,
  run: async (call) => {
    const changes: Record<string, SettingValue> = {};
    for (const [name, value] of Object.entries(call.body)) {
      if (isOption(name) && !NOT_SET_BY_API.test(name)) changes[name] = readOption(name, value);
    }
    const { sd_model_checkpoint: checkpoint, ...rest } = changes;
    await call.ask(async (host) => {
      if (typeof checkpoint === 'string' && checkpoint !== '') {
        const model = findModel(await host.models(), checkpoint);
        if (!model) throw pythonException('RuntimeError', `model '${checkpoint}' not found`);
        await host.selectModel(model.pack.id);
      }
      await host.updateSettings(rest);
    });
    return null;
  },
});

export const optionRoutes = [readOptions, changeOptions];
