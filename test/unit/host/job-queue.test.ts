import { createFinishedImages } from '#host/finished-images.ts';
import { createJobQueue, type JobQueue } from '#host/job-queue.ts';
import type { HostEvent } from '#protocol/engine-host.ts';
import type { EngineEvent, RunOutcome } from '#protocol/engine-worker.ts';
import { AppError } from '#protocol/error.ts';
import { imagesOf, type Job, type JobOrigin, type JobProgress, type JobRecord } from '#protocol/job.ts';
import { openImageMarks, type ImageMarks } from '#storage/image-marks.ts';
import { openImages, type Images } from '#storage/images.ts';
import { openJobs, type Jobs } from '#storage/jobs.ts';
import { describe, expect, it, vi } from 'vitest';
import { textToImage } from '../../support/jobs.ts';
import { waitFor } from '../../support/wait-for.ts';

const apple = textToImage({ prompt: 'a red apple', seeds: [7n, 8n] });
const ofApp: JobOrigin = { client: 'app', requestKey: null };
const ofFetch: JobOrigin = { client: 'a1111', requestKey: 'the same request' };
const never = new Promise<never>(() => undefined);

/** An image as the engine hands it over; its file is a text. */
function image(index: number, text = `image ${String(index)}`): EngineEvent {
  const [prompt, negativePrompt] = [['a red apple'], ['']];
  return {
    type: 'artifact',
    artifact: {
      kind: 'image',
      image: { index, width: 256, height: 256, seed: 7n, subseed: 0n, prompt, negativePrompt, infotext: '' },
    },
    file: new Blob([text], { type: 'image/png' }),
  };
}

const indices = (record: JobRecord | undefined) => imagesOf(record?.result ?? null).map(({ index }) => index);

function progress(step: number): JobProgress {
  return {
    phase: 'sampling',
    fraction: step / 4,
    image: 0,
    images: 2,
    pass: 0,
    passes: 1,
    step,
    steps: 4,
    secondsLeft: null,
    notes: [],
  };
}

/** Records, and the images that go with them. */
type Stores = Jobs & { images: Images; marks: ImageMarks };

/** A run of the engine as the test leads it. */
interface Run {
  job: Job;
  send(event: EngineEvent): void;
  finish(outcome?: Partial<RunOutcome>): void;
  fail(error: Error): void;
  signal: AbortSignal;
}

/** A tab with its queue, whose engine does what the test says. */
function openTab(stores: Stores) {
  const runs: Run[] = [];
  const events: HostEvent[] = [];
  const ended: JobRecord[] = [];
  let dead = false;
  const dying: Jobs = { ...stores, put: (record) => (dead ? never : stores.put(record)) };
  const images = createFinishedImages(stores.images, stores.marks, (event) => events.push(event));
  const queue = createJobQueue(
    dying,
    images,
    {
      backends: {
        local: {
          run: (job, onEvent, signal) =>
            new Promise((resolve, reject) => {
              runs.push({
                job,
                send: (event) => void onEvent(event),
                finish: (outcome) => resolve({ interrupted: signal.aborted, notes: [], ...outcome }),
                fail: reject,
                signal,
              });
            }),
        },
      },
      choose: () => ['local'],
      ended: (record) => ended.push(record),
    },
    (event) => events.push(event),
  );
  return {
    queue,
    images,
    /** The files of a job's images, in order. */
    files: async (id: string) => Promise.all((await images.ofJob(id)).map(({ blob }) => blob.text())),
    runs,
    events,
    ended,
    /** The n-th run, as soon as it has begun. */
    run: (index: number): Promise<Run> =>
      waitFor(() => {
        const begun = runs[index];
        if (!begun) throw new Error(`Run ${String(index)} has not begun.`);
        return begun;
      }),
    /** The tab is closed: from now on it writes nothing. */
    close: () => (dead = true),
  };
}

let databases = 0;
function freshJobs(): Stores {
  const name = String(databases++);
  return {
    ...openJobs(`jobs-${name}`),
    images: openImages(`images-${name}`),
    marks: openImageMarks(`marks-${name}`),
  };
}

const quota = new DOMException('The quota has been exceeded.', 'QuotaExceededError');

/** Stores that take no more images. */
function fullOf(stores: Stores): Stores {
  return { ...stores, images: { ...stores.images, put: () => Promise.reject(quota) } };
}

async function stageOf(queue: JobQueue, id: string) {
  return (await queue.find(id))?.stage;
}

describe('a queue', () => {
  it('runs jobs one at a time in the order they came', async () => {
    const tab = openTab(freshJobs());
    const jobs = ['a', 'b', 'c'].map((prompt) => textToImage({ prompt, seeds: [1n] }));
    await Promise.all(jobs.map((job, index) => tab.queue.submit(String(index), job, ofApp)));
    for (const [index, job] of jobs.entries()) {
      const run = await tab.run(index);
      expect(run.job).toEqual(job);
      expect(tab.runs).toHaveLength(index + 1);
      expect((await tab.queue.unfinished()).map(({ stage }) => stage)).toEqual([
        'running',
        ...jobs.slice(index + 1).map(() => 'queued'),
      ]);
      run.finish();
      expect((await tab.queue.wait(String(index))).stage).toBe('done');
    }
    expect(await tab.queue.unfinished()).toEqual([]);
    expect((await tab.queue.all()).map(({ id }) => id)).toEqual(['0', '1', '2']);
  });

  it('answers once a job is stored', async () => {
    const jobs = freshJobs();
    const tab = openTab(jobs);
    await tab.queue.submit('1', apple, ofApp);
    expect(await jobs.get('1')).toMatchObject({ id: '1', job: apple, origin: ofApp });
  });

  it('takes a job of a known id once, asked in turn or at the same time', async () => {
    const tab = openTab(freshJobs());
    await Promise.all([tab.queue.submit('1', apple, ofApp), tab.queue.submit('1', apple, ofApp)]);
    await tab.queue.submit('1', apple, ofApp);
    (await tab.run(0)).finish();
    await tab.queue.wait('1');
    expect(await tab.queue.submit('1', apple, ofApp)).toBe('1');
    expect(tab.runs).toHaveLength(1);
    expect(tab.ended).toHaveLength(1);
  });

  it('is full at 100 jobs, and takes one more when one has ended', async () => {
    const tab = openTab(freshJobs());
    for (let index = 0; index < 100; index++) await tab.queue.submit(String(index), apple, ofApp);
    await expect(tab.queue.submit('one more', apple, ofApp)).rejects.toMatchObject({
      code: 'queue_full',
      detail: { limit: 100 },
    });
    expect(await tab.queue.find('one more')).toBeUndefined();
    await tab.queue.cancel('99');
    expect(await tab.queue.submit('one more', apple, ofApp)).toBe('one more');
  });

  it('does not know jobs it was never given', async () => {
    const { queue } = openTab(freshJobs());
    await expect(queue.wait('unknown')).rejects.toMatchObject({ code: 'not_found' });
    expect(await queue.find('unknown')).toBeUndefined();
    expect(queue.preview('unknown')).toBeUndefined();
    expect(await queue.remove('unknown')).toBe(false);
    await queue.cancel('unknown');
  });

  it('neither keeps nor runs a job that storage does not take', async () => {
    const jobs = freshJobs();
    const tab = openTab({ ...jobs, put: () => Promise.reject(quota) });
    await expect(tab.queue.submit('1', apple, ofApp)).rejects.toMatchObject({ code: 'storage_full' });
    expect(await tab.queue.find('1')).toBeUndefined();
    expect(await tab.queue.unfinished()).toEqual([]);
    expect(tab.runs).toEqual([]);
  });
});

describe('a running job', () => {
  it('stores its images as they come and tells its progress and previews', async () => {
    const jobs = freshJobs();
    const tab = openTab(jobs);
    await tab.queue.submit('1', apple, ofApp);
    const run = await tab.run(0);
    run.send({ type: 'progress', progress: progress(1) });
    expect((await tab.queue.find('1'))?.progress).toEqual(progress(1));
    const preview = { width: 1, height: 1, data: Uint8ClampedArray.of(1, 2, 3) };
    run.send({ type: 'preview', preview });
    expect(tab.queue.preview('1')).toBe(preview);
    run.send(image(0));
    await expect.poll(async () => indices(await jobs.get('1'))).toEqual([0]);
    expect((await jobs.get('1'))?.stage).toBe('running');
    run.send(image(1));
    run.finish({ notes: ['The prompt was cut off.'] });
    const record = await tab.queue.wait('1');
    expect(record).toMatchObject({ stage: 'done', attempts: 1, error: null });
    expect(record.result).toMatchObject({ interrupted: false, notes: ['The prompt was cut off.'] });
    expect(record.finishedAt).toBeGreaterThanOrEqual(record.startedAt ?? Infinity);
    const stored = await jobs.get('1');
    expect(indices(stored)).toEqual([0, 1]);
    expect(await tab.files('1')).toEqual(['image 0', 'image 1']);
    expect(
      (await jobs.images.ofJob('1')).map(({ id, prompt, seed, client }) => [id, prompt, seed, client]),
    ).toEqual([
      ['1/0', 'a red apple', '7', 'app'],
      ['1/1', 'a red apple', '7', 'app'],
    ]);
    expect(tab.queue.preview('1')).toBeUndefined();
  });

  it('shows an image while storage still takes it, and hands over the last job’s without asking storage', async () => {
    const stores = freshJobs();
    const taken = Promise.withResolvers<undefined>();
    let reads = 0;
    const tab = openTab({
      ...stores,
      images: {
        ...stores.images,
        put: (stored) => taken.promise.then(() => stores.images.put(stored)),
        ofJob: (id) => {
          reads++;
          return stores.images.ofJob(id);
        },
      },
    });
    await tab.queue.submit('1', apple, ofApp);
    const run = await tab.run(0);
    run.send(image(0));
    await waitFor(() =>
      expect(tab.events).toContainEqual(
        expect.objectContaining({ type: 'gallery', added: [expect.objectContaining({ id: '1/0' })] }),
      ),
    );
    expect(await tab.files('1')).toEqual(['image 0']);
    expect((await tab.images.page(10)).items.map(({ id }) => id)).toEqual(['1/0']);
    run.send(image(1));
    run.finish();
    taken.resolve(undefined);
    await tab.queue.wait('1');
    expect(await tab.files('1')).toEqual(['image 0', 'image 1']);
    expect(reads).toBe(0);

    await tab.queue.deleteImages(['1/0']);
    expect(await tab.files('1')).toEqual(['image 1']);
    await tab.queue.emptyBin(Infinity);
    await tab.queue.restoreImages(['1/0']);
    expect(await tab.files('1')).toEqual(['image 1']);

    await tab.queue.submit('2', apple, ofApp);
    (await tab.run(1)).finish();
    await tab.queue.wait('2');
    expect(await tab.files('1')).toEqual(['image 1']);
    expect(reads).toBe(1);
  });

  it('takes back no progress while an image is being written', async () => {
    const tab = openTab(freshJobs());
    await tab.queue.submit('1', apple, ofApp);
    const run = await tab.run(0);
    for (let step = 1; step <= 4; step++) {
      run.send({ type: 'progress', progress: progress(step) });
      run.send(image(step % 2));
    }
    run.finish();
    await tab.queue.wait('1');
    const steps = tab.events.flatMap((event) =>
      event.type === 'record' ? (event.record.progress?.step ?? 0) : [],
    );
    expect(steps).toEqual(steps.toSorted((a, b) => a - b));
    const stages = tab.events.flatMap((event) => (event.type === 'record' ? event.record.stage : []));
    expect(stages.slice(0, 2)).toEqual(['queued', 'running']);
    expect(stages.indexOf('done')).toBe(stages.length - 1);
  });

  it('has each image once, though the engine repeats a job whose device was lost', async () => {
    const jobs = freshJobs();
    const tab = openTab(jobs);
    await tab.queue.submit('1', apple, ofApp);
    const run = await tab.run(0);
    run.send(image(0));
    run.send(image(0));
    run.send(image(1));
    run.finish();
    expect(indices(await tab.queue.wait('1'))).toEqual([0, 1]);
    expect(await jobs.images.count()).toBe(2);
  });

  it('fails with its error and the images it has; the next one runs', async () => {
    const tab = openTab(freshJobs());
    await tab.queue.submit('1', apple, ofApp);
    await tab.queue.submit('2', apple, ofApp);
    const first = await tab.run(0);
    first.send(image(0));
    first.fail(new AppError('out_of_memory', 'There is not enough memory.'));
    const record = await tab.queue.wait('1');
    expect(record).toMatchObject({
      stage: 'failed',
      error: { code: 'out_of_memory' },
      result: { interrupted: true },
    });
    expect(indices(record)).toEqual([0]);
    (await tab.run(1)).finish();
    expect((await tab.queue.wait('2')).stage).toBe('done');
  });

  it('hears nothing more of a run that is over', async () => {
    const jobs = freshJobs();
    const tab = openTab(jobs);
    await tab.queue.submit('1', apple, ofApp);
    const run = await tab.run(0);
    run.finish();
    await tab.queue.wait('1');
    const told = tab.events.length;
    run.send({ type: 'progress', progress: progress(1) });
    run.send(image(0));
    run.send({ type: 'preview', preview: { width: 1, height: 1, data: new Uint8ClampedArray(3) } });
    expect(tab.events).toHaveLength(told);
    expect(tab.queue.preview('1')).toBeUndefined();
    expect(indices(await jobs.get('1'))).toEqual([]);
  });

  it('does not stop the queue when its start cannot be stored', async () => {
    const jobs = freshJobs();
    const tab = openTab({
      ...jobs,
      put: (record) =>
        record.id === '1' && record.stage === 'running' ? Promise.reject(quota) : jobs.put(record),
    });
    await tab.queue.submit('1', apple, ofApp);
    await tab.queue.submit('2', apple, ofApp);
    expect(await tab.queue.wait('1')).toMatchObject({
      stage: 'failed',
      error: { code: 'storage_full' },
    });
    (await tab.run(0)).finish();
    expect((await tab.queue.wait('2')).stage).toBe('done');
  });

  it('is told of once when it has ended', async () => {
    const tab = openTab(freshJobs());
    for (const id of ['done', 'failed', 'cancelled']) await tab.queue.submit(id, apple, ofApp);
    await tab.queue.cancel('cancelled');
    (await tab.run(0)).finish();
    (await tab.run(1)).fail(new Error('It broke.'));
    await tab.queue.wait('failed');
    expect(tab.ended.map(({ id, stage }) => [id, stage])).toEqual([
      ['cancelled', 'cancelled'],
      ['done', 'done'],
      ['failed', 'failed'],
    ]);
  });
});

describe('cancelling', () => {
  it('takes a waiting job out of the line', async () => {
    const tab = openTab(freshJobs());
    await tab.queue.submit('1', apple, ofApp);
    await tab.queue.submit('2', apple, ofApp);
    const waiting = tab.queue.wait('2');
    await Promise.all([tab.queue.cancel('2'), tab.queue.cancel('2')]);
    expect(await waiting).toMatchObject({ stage: 'cancelled', result: null, attempts: 0 });
    (await tab.run(0)).finish();
    await tab.queue.wait('1');
    expect(tab.runs).toHaveLength(1);
    expect(tab.ended.map(({ id }) => id)).toEqual(['2', '1']);
  });

  it('stops a running job, which keeps the images it has made', async () => {
    const tab = openTab(freshJobs());
    await tab.queue.submit('1', apple, ofApp);
    const run = await tab.run(0);
    run.send(image(0));
    await tab.queue.cancel('1');
    expect(run.signal.aborted).toBe(true);
    run.finish();
    const record = await tab.queue.wait('1');
    expect(record).toMatchObject({ stage: 'cancelled', error: null, result: { interrupted: true } });
    expect(indices(record)).toEqual([0]);
  });

  it('keeps the images also of an engine that had to be stopped by force', async () => {
    const tab = openTab(freshJobs());
    await tab.queue.submit('1', apple, ofApp);
    const run = await tab.run(0);
    run.send(image(0));
    run.fail(new AppError('cancelled', 'Cancelled. The engine did not stop by itself and was restarted.'));
    const record = await tab.queue.wait('1');
    expect(record).toMatchObject({ stage: 'cancelled', result: { interrupted: true } });
    expect(indices(record)).toEqual([0]);
  });

  it('changes nothing once a job has ended', async () => {
    const tab = openTab(freshJobs());
    await tab.queue.submit('1', apple, ofApp);
    (await tab.run(0)).finish();
    await tab.queue.wait('1');
    await tab.queue.cancel('1');
    expect(await stageOf(tab.queue, '1')).toBe('done');
    expect(tab.ended).toHaveLength(1);
  });
});

describe('after a lost tab', () => {
  it('runs the unfinished jobs again, in their order', async () => {
    const jobs = freshJobs();
    const first = openTab(jobs);
    await first.queue.submit('1', apple, ofApp);
    await first.queue.submit('2', apple, ofApp);
    const lost = await first.run(0);
    lost.send(image(0, 'of the lost tab'));
    await expect.poll(async () => indices(await jobs.get('1'))).toEqual([0]);
    first.close();

    const second = openTab(jobs);
    const waiting = second.queue.wait('1');
    const again = await second.run(0);
    expect(again.job).toEqual(apple);
    expect(await stageOf(second.queue, '2')).toBe('queued');
    again.send(image(0));
    again.finish();
    const record = await waiting;
    expect(record).toMatchObject({ stage: 'done', attempts: 2 });
    expect(indices(record)).toEqual([0]);
    expect(await second.files('1')).toEqual(['image 0']);
    (await second.run(1)).finish();
    expect(await second.queue.wait('2')).toMatchObject({ stage: 'done', attempts: 1 });
  });

  it('knows the jobs of the earlier tab from the first question on', async () => {
    const jobs = freshJobs();
    const first = openTab(jobs);
    await first.queue.submit('1', apple, ofFetch);
    await first.run(0);
    first.close();

    const { queue, runs, run } = openTab(jobs);
    // As `ask` does with a successor: the same submit, then the wait, at once.
    const answer = queue.submit('1', apple, ofFetch).then((id) => queue.wait(id));
    (await run(0)).finish();
    expect(await answer).toMatchObject({ id: '1', stage: 'done' });
    expect(runs).toHaveLength(1);
  });

  it('gives up a job that took three tabs with it', async () => {
    const jobs = freshJobs();
    let tab = openTab(jobs);
    await tab.queue.submit('1', apple, ofApp);
    for (let attempt = 1; attempt <= 3; attempt++) {
      await tab.run(0);
      expect((await jobs.get('1'))?.attempts).toBe(attempt);
      tab.close();
      tab = openTab(jobs);
    }
    expect(await tab.queue.wait('1')).toMatchObject({
      stage: 'failed',
      error: { code: 'engine_crashed' },
    });
    expect(tab.runs).toEqual([]);
    expect(tab.ended).toHaveLength(1);
  });

  it('leaves ended jobs alone', async () => {
    const jobs = freshJobs();
    const first = openTab(jobs);
    await first.queue.submit('1', apple, ofApp);
    (await first.run(0)).finish();
    await first.queue.wait('1');
    const second = openTab(jobs);
    expect(await second.queue.unfinished()).toEqual([]);
    expect(await second.queue.wait('1')).toMatchObject({ stage: 'done' });
    expect(second.runs).toEqual([]);
  });
});

describe('a fetch that is started again', () => {
  const ofFirst: JobOrigin = { ...ofFetch, session: 'first' };
  const ofSecond: JobOrigin = { ...ofFetch, session: 'second' };

  it('is answered by the job that runs for it already', async () => {
    const tab = openTab(freshJobs());
    await tab.queue.submit('1', apple, ofFirst);
    const run = await tab.run(0);
    expect(await tab.queue.submit('2', apple, ofSecond)).toBe('1');
    const answer = tab.queue.wait('1');
    run.finish();
    expect((await answer).id).toBe('1');
    expect(tab.runs).toHaveLength(1);
  });

  it('is answered by the job that ended a moment ago', async () => {
    const tab = openTab(freshJobs());
    await tab.queue.submit('1', apple, ofFirst);
    (await tab.run(0)).finish();
    await tab.queue.wait('1');
    expect(await tab.queue.submit('2', apple, ofSecond)).toBe('1');
    // The same service worker asks for another image with another request.
    expect(await tab.queue.submit('3', apple, ofSecond)).toBe('3');
  });

  it('is a new job when the other ended more than a minute ago', async () => {
    const tab = openTab(freshJobs());
    await tab.queue.submit('1', apple, ofFirst);
    (await tab.run(0)).finish();
    await tab.queue.wait('1');
    const later = Date.now() + 61_000;
    const clock = vi.spyOn(Date, 'now').mockReturnValue(later);
    try {
      expect(await tab.queue.submit('2', apple, ofSecond)).toBe('2');
    } finally {
      clock.mockRestore();
    }
  });

  it.each(['waiting', 'running', 'ended'])('is a new job once the other, %s, is answered', async (stage) => {
    const jobs = freshJobs();
    const tab = openTab(jobs);
    if (stage === 'waiting') await tab.queue.submit('0', apple, ofApp);
    await tab.queue.submit('1', apple, ofFirst);
    const run = await tab.run(0);
    if (stage === 'ended') {
      run.finish();
      await tab.queue.wait('1');
    }
    await tab.queue.answered('1');
    expect(await tab.queue.submit('2', apple, ofSecond)).toBe('2');
    // The next tab knows it too.
    tab.close();
    expect(await openTab(jobs).queue.submit('3', apple, { ...ofFetch, session: 'third' })).toBe('2');
  });

  it('is a new job when the answer came while the end of the other was being written', async () => {
    const jobs = freshJobs();
    const { promise: written, resolve: write } = Promise.withResolvers<undefined>();
    const slow: Stores = {
      ...jobs,
      put: async (record) => {
        if (record.stage === 'done') await written;
        await jobs.put(record);
      },
    };
    const tab = openTab(slow);
    await tab.queue.submit('1', apple, ofFirst);
    (await tab.run(0)).finish();
    const ended = tab.queue.wait('1');
    await tab.queue.answered('1');
    write(undefined);
    expect((await ended).stage).toBe('done');
    expect(await tab.queue.submit('2', apple, ofSecond)).toBe('2');
  });

  it('takes no job of the same service worker, of another request, or one that is cancelled', async () => {
    const tab = openTab(freshJobs());
    await tab.queue.submit('1', apple, ofFirst);
    await tab.run(0);
    expect(await tab.queue.submit('2', apple, ofFirst)).toBe('2');
    expect(await tab.queue.submit('3', apple, { ...ofSecond, requestKey: 'another request' })).toBe('3');
    expect(await tab.queue.submit('4', apple, ofApp)).toBe('4');
    await tab.queue.cancel('1');
    await tab.queue.cancel('2');
    expect(await tab.queue.submit('5', apple, ofSecond)).toBe('5');
  });

  it('shares two jobs out between two fetches', async () => {
    const tab = openTab(freshJobs());
    for (const id of ['1', '2']) await tab.queue.submit(id, apple, ofFirst);
    const adopted = await Promise.all(['3', '4'].map((id) => tab.queue.submit(id, apple, ofSecond)));
    expect(adopted.toSorted()).toEqual(['1', '2']);
    expect(await tab.queue.submit('5', apple, ofSecond)).toBe('5');
  });

  it('finds each run of a script again, however long the script takes', async () => {
    const tab = openTab(freshJobs());
    const ofRun = (origin: JobOrigin, run: number): JobOrigin => ({ ...origin, ...(run > 0 && { run }) });
    const clock = vi.spyOn(Date, 'now');
    try {
      for (const run of [0, 1, 2]) {
        await tab.queue.submit(`old ${run}`, apple, ofRun(ofFirst, run));
        const engine = await tab.run(run);
        clock.mockReturnValue(Date.now() + 600_000);
        if (run === 2) break;
        engine.finish();
        await tab.queue.wait(`old ${run}`);
      }
      // Another request meanwhile, which forgets what is too old.
      await tab.queue.submit('other', apple, { ...ofSecond, requestKey: 'another request' });
      for (const run of [0, 1, 2, 3]) {
        const expected = run === 3 ? 'new 3' : `old ${run}`;
        expect(await tab.queue.submit(`new ${run}`, apple, ofRun(ofSecond, run))).toBe(expected);
      }
    } finally {
      clock.mockRestore();
    }
  });

  it('does not find the runs of a script that was left alone, though the same is asked for again', async () => {
    const tab = openTab(freshJobs());
    for (const run of [0, 1]) {
      await tab.queue.submit(`old ${run}`, apple, { ...ofFirst, run });
      (await tab.run(run)).finish();
      await tab.queue.wait(`old ${run}`);
    }
    const clock = vi.spyOn(Date, 'now').mockReturnValue(Date.now() + 61_000);
    try {
      for (const run of [0, 1])
        expect(await tab.queue.submit(`new ${run}`, apple, { ...ofSecond, run })).toBe(`new ${run}`);
    } finally {
      clock.mockRestore();
    }
  });

  it('is answered from the next tab when the first has gone as well', async () => {
    const jobs = freshJobs();
    const first = openTab(jobs);
    await first.queue.submit('1', apple, ofFirst);
    await first.run(0);
    first.close();
    const second = openTab(jobs);
    expect(await second.queue.submit('2', apple, ofSecond)).toBe('1');
    expect(await second.queue.unfinished()).toHaveLength(1);
  });
});

describe('full storage', () => {
  it('still gives the images to whoever waits; no later tab generates them again', async () => {
    const jobs = freshJobs();
    const tab = openTab(fullOf(jobs));
    await tab.queue.submit('1', apple, ofApp);
    const run = await tab.run(0);
    run.send(image(0));
    run.finish();
    const record = await tab.queue.wait('1');
    expect(record).toMatchObject({ stage: 'done', error: { code: 'storage_full' } });
    expect(indices(record)).toEqual([0]);
    expect(await tab.files('1')).toEqual(['image 0']);
    expect((await tab.images.page(10)).items.map(({ id }) => id)).toEqual(['1/0']);
    expect(tab.ended).toEqual([record]);
    // This tab has them until it is closed, and takes new jobs meanwhile.
    expect(await tab.queue.find('1')).toBe(record);
    expect(await tab.queue.all()).toEqual([record]);
    expect(await tab.queue.unfinished()).toEqual([]);

    const next = openTab(jobs);
    expect(await next.queue.wait('1')).toMatchObject({
      stage: 'failed',
      error: { code: 'storage_full' },
      result: null,
    });
    expect(await next.files('1')).toEqual([]);
    expect(next.runs).toEqual([]);
  });

  it('lets go of such a job when it is deleted', async () => {
    const jobs = freshJobs();
    const tab = openTab(fullOf(jobs));
    await tab.queue.submit('1', apple, ofApp);
    (await tab.run(0)).finish();
    await tab.queue.wait('1');
    expect(await tab.queue.remove('1')).toBe(true);
    expect(await tab.queue.find('1')).toBeUndefined();
    expect(await tab.queue.all()).toEqual([]);
  });
});

it('knows whose jobs are whose', async () => {
  const jobs = freshJobs();
  const tab = openTab(jobs);
  for (const [id, origin] of Object.entries({ first: ofFetch, second: ofApp, third: ofFetch }))
    await tab.queue.submit(id, apple, origin);
  expect(await tab.queue.idsOf('a1111')).toEqual(['first', 'third']);
  await tab.queue.cancel('third');
  tab.close();
  const next = openTab(jobs);
  expect(await next.queue.idsOf('a1111')).toEqual(['first', 'third']);
  await next.queue.remove('third');
  expect(await next.queue.idsOf('a1111')).toEqual(['first']);
});

it('has an image whose record storage does not take, and no record of an image that it did not', async () => {
  const stores = freshJobs();
  let puts = 0;
  const images: Images = {
    ...stores.images,
    put: (stored) => (++puts === 1 ? stores.images.put(stored) : Promise.reject(quota)),
  };
  const tab = openTab({ ...stores, images });
  await tab.queue.submit('1', apple, ofApp);
  const run = await tab.run(0);
  run.send(image(0));
  run.send(image(1));
  run.finish();
  expect(indices(await tab.queue.wait('1'))).toEqual([0, 1]);
  expect(await tab.files('1')).toEqual(['image 0', 'image 1']);
  const next = openTab(stores);
  const record = await next.queue.wait('1');
  expect(record).toMatchObject({ stage: 'failed', error: { code: 'storage_full' } });
  expect(indices(record)).toEqual([0]);
  expect(await next.files('1')).toEqual(['image 0']);
});

it('deletes the images that a lost tab left without their job', async () => {
  const stores = freshJobs();
  const first = openTab(stores);
  await first.queue.submit('1', apple, ofApp);
  const run = await first.run(0);
  run.send(image(0));
  run.finish();
  await first.queue.wait('1');
  await stores.remove('1');
  const next = openTab(stores);
  expect(await next.queue.all()).toEqual([]);
  await expect.poll(() => stores.images.count()).toBe(0);
});

describe('deleting', () => {
  it('is refused while the job waits or runs', async () => {
    const tab = openTab(freshJobs());
    await tab.queue.submit('running', apple, ofApp);
    await tab.queue.submit('queued', apple, ofApp);
    const run = await tab.run(0);
    run.send(image(0));
    await expect.poll(() => tab.files('running')).toEqual(['image 0']);
    await expect(tab.queue.deleteImages(['running/0'])).rejects.toMatchObject({ code: 'invalid_request' });
    expect(await tab.queue.remove('running')).toBe(false);
    expect(await tab.queue.remove('queued')).toBe(false);
    expect(await tab.queue.all()).toHaveLength(2);
  });

  it('loses none of two images deleted at once, and is told', async () => {
    const jobs = freshJobs();
    const tab = openTab(jobs);
    await tab.queue.submit('1', apple, ofApp);
    const run = await tab.run(0);
    for (const index of [0, 1, 2]) run.send(image(index));
    run.finish();
    await tab.queue.wait('1');
    expect(await Promise.all([0, 2].map((index) => tab.queue.deleteImages([`1/${index}`])))).toEqual([
      [],
      [],
    ]);
    expect(await tab.files('1')).toEqual(['image 1']);
    expect(tab.events.filter(({ type }) => type === 'gallery').at(-1)).toMatchObject({ removed: ['1/2'] });
    expect(await tab.queue.emptyBin(Infinity)).toEqual([]);
    expect(indices(await jobs.get('1'))).toEqual([1]);
    // The job goes with its last image.
    await tab.queue.deleteImages(['1/1']);
    expect(tab.events.at(-1)).toEqual({ type: 'removed', id: '1' });
    expect(await tab.queue.emptyBin(Infinity)).toEqual(['1']);
    expect(await jobs.get('1')).toBeUndefined();
    expect(await jobs.images.count()).toBe(0);
  });

  it('deletes for good where there is no room for the bin, so that there is', async () => {
    const jobs = freshJobs();
    const tab = openTab({ ...jobs, marks: { ...jobs.marks, put: () => Promise.reject(quota) } });
    await tab.queue.submit('1', apple, ofApp);
    const run = await tab.run(0);
    for (const index of [0, 1]) run.send(image(index));
    run.finish();
    await tab.queue.wait('1');
    expect(await tab.queue.deleteImages(['1/0'])).toEqual([]);
    expect(await jobs.images.ids()).toEqual(['1/1']);
    expect(await tab.queue.restoreImages(['1/0'])).toEqual([]);
    expect(await tab.queue.deleteImages(['1/1'])).toEqual(['1']);
    expect(await jobs.images.count()).toBe(0);
    expect(await tab.queue.find('1')).toBeUndefined();
  });

  it('brings no job back that is deleted while its end is being written', async () => {
    const jobs = freshJobs();
    const tab = openTab(jobs);
    await tab.queue.submit('1', apple, ofApp);
    const run = await tab.run(0);
    run.finish();
    const removed = await tab.queue.remove('1');
    await expect.poll(async () => (await tab.queue.unfinished()).length).toBe(0);
    expect((await jobs.get('1')) === undefined).toBe(removed);
    await tab.queue.remove('1');
    expect(await tab.queue.all()).toEqual([]);
  });

  it('hands a deleted job to no fetch', async () => {
    const tab = openTab(freshJobs());
    await tab.queue.submit('1', apple, { ...ofFetch, session: 'first' });
    (await tab.run(0)).finish();
    await tab.queue.wait('1');
    await tab.queue.remove('1');
    expect(await tab.queue.submit('2', apple, { ...ofFetch, session: 'second' })).toBe('2');
  });
});
