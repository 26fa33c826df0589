import { expose } from 'comlink';
import { carryErrorCodes } from '#protocol/error-transfer.ts';
import { traced } from '#protocol/trace.ts';
import { openEncodedChunks } from '#storage/encoded-chunks.ts';
import { openModelFiles } from '#storage/model-files.ts';
import { createEngine } from './engine.ts';
import { browserBuild } from './runtime/builds.ts';
import { chooseBackend, chooseBuild } from './runtime/device.ts';
import { openRuntime } from './runtime/runtime.ts';

carryErrorCodes();

const files = openModelFiles();

expose(
  createEngine(
    async (choice) => {
      const { device, description } = await traced('choose the device', () => chooseBackend(choice));
      return traced('open the runtime', () =>
        openRuntime({ build: browserBuild(chooseBuild(device)), device, description }),
      );
    },
    (pack) => (path) => files.open(pack.id, path),
    openEncodedChunks(),
  ),
);
