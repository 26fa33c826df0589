import { findModel, selectedModel } from '#api/models.ts';
import { changesOf } from '#api/parameters.ts';
import { route } from '#api/route.ts';
import type { SettingValue } from '#protocol/settings.ts';
import { pythonException } from './errors.ts';
import { titleOf } from './lists.ts';
import { effectiveOptions, optionParameters } from './options.ts';

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
  body: changesOf(optionParameters),
  run: async (call) => {
    const settable = Object.entries(call.body).filter(([name]) => !NOT_SET_BY_API.test(name));
    // Their fields allow nothing else.
    const changes = Object.fromEntries(settable) as Record<string, SettingValue>;
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
