import { expose } from 'comlink';
import { carryErrorCodes } from '#protocol/error-transfer.ts';
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
      const { device, description } = await chooseBackend(choice);
      return openRuntime({ build: browserBuild(chooseBuild(device)), device, description });
    },
    (pack) => (path) => files.open(pack.id, path),
  ),
);
