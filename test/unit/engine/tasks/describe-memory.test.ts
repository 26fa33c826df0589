import { expect, it } from 'vitest';
import { createEngine } from '#engine/engine.ts';
import type { Runtime, Session } from '#engine/runtime/runtime.ts';
import { encodePng } from '#codecs/png.ts';
import type { DescribeJob, Job } from '#protocol/job.ts';
import type { AddOnPack } from '#protocol/model.ts';
import { textToImage, withPass } from '../../../support/jobs.ts';
import { openNodeRuntime } from '../../../support/node-engine.ts';
import { tinyModel } from '../../../support/tiny-control.ts';
import { wdTaggerPack } from '../../../support/tiny-describers.ts';

/** A runtime, and how many sessions are open on it. */
function counted(runtime: Runtime): { runtime: Runtime; open: Set<Session> } {
  const open = new Set<Session>();
  return {
    open,
    runtime: {
      ...runtime,
      async createSession(...values) {
        const session = await runtime.createSession(...values);
        const own: Session = {
          ...session,
          async release() {
            open.delete(own);
            await session.release();
          },
        };
        open.add(own);
        return own;
      },
    },
  };
}

/** The pack as if its files were so large. */
function large({ files, ...pack }: AddOnPack): AddOnPack {
  return { ...pack, files: files.map((file) => ({ ...file, sizeBytes: 2e9 })) };
}

it('a describer and a checkpoint that do not fit beside each other are not on the device together', async () => {
  const model = await tinyModel();
  const tagger = wdTaggerPack();
  const { runtime, open } = counted(await openNodeRuntime());
  const engine = createEngine(
    () => Promise.resolve(runtime),
    ({ id }) =>
      (path) =>
        Promise.resolve(id === tagger.pack.id ? tagger.files[path] : model.files[path]),
  );
  const run = (tags: AddOnPack, job: Job) => engine.run([model.pack, tags], job, () => undefined);
  // A text that is encoded already would need no text encoder.
  const generating = (prompt: string) =>
    withPass(textToImage({ prompt, seeds: [1n], steps: 1, width: 64, height: 64 }), { model: model.pack.id });
  const image = new Blob([encodePng({ width: 2, height: 2, channels: 3, data: new Uint8Array(12) })]);
  const describing: DescribeJob = {
    task: 'describe',
    image,
    describer: {
      kind: 'tagger',
      model: tagger.pack.id,
      rules: {
        threshold: 0.5,
        sortsByName: true,
        usesSpaces: true,
        escapes: true,
        showsScores: false,
        leaveOut: [],
      },
    },
  };

  await run(tagger.pack, generating('waves'));
  const ofModel = open.size;
  expect(ofModel).toBeGreaterThan(1);
  // What fits stays.
  await run(tagger.pack, describing);
  expect(open.size).toBe(ofModel + 1);
  await engine.unload();
  expect(open.size).toBe(0);

  await run(tagger.pack, generating('hills'));
  await run(large(tagger.pack), describing);
  expect(open.size).toBe(1);
  await run(large(tagger.pack), generating('clouds'));
  expect(open.size).toBe(ofModel);
  await engine.unload();
  expect(open.size).toBe(0);
});
