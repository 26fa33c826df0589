import { expect, it } from 'vitest';
import { openPublishedFiles } from '#storage/published-files.ts';

let databases = 0;
const open = () => openPublishedFiles(`published-files-${databases++}`);

it('finds images by their paths until their time is over, or their job is gone', async () => {
  const files = open();
  await files.publish({ path: 'a/0.png', jobId: 'a', index: 0 });
  await files.publish({ path: 'a/1.png', jobId: 'a', index: 1, until: Date.now() + 60_000 });
  await files.publish({ path: 'a/2.png', jobId: 'a', index: 2, until: Date.now() });
  await files.publish({ path: 'b/0.png', jobId: 'b', index: 0 });
  expect(await files.find('a/1.png')).toMatchObject({ jobId: 'a', index: 1 });
  expect(await files.find('a/2.png')).toBeUndefined();
  await files.removeJob('a');
  expect(await files.find('a/0.png')).toBeUndefined();
  expect(await files.find('b/0.png')).toMatchObject({ jobId: 'b' });
});

it('keeps files for their time', async () => {
  const files = open();
  await files.keep({ path: 'x.png', blob: new Blob(['x']), until: Date.now() });
  expect(await files.find('x.png')).toBeUndefined();
  await files.keep({ path: 'y.png', blob: new Blob(['y']), until: Date.now() + 60_000 });
  await files.removeJob('a');
  const kept = await files.find('y.png');
  expect(kept && 'blob' in kept && (await kept.blob.text())).toBe('y');
});
