import { expect, test } from 'vitest';
import { createSessionCache } from '#engine/models/session-cache.ts';
import type { PreparedNetwork } from '#engine/models/networks.ts';
import { Graph } from '#engine/graph/graph.ts';
import { AppError } from '#protocol/error.ts';
import { openNodeRuntime } from '../../../support/node-engine.ts';
import { tensorsOf } from '../../../support/random-weights.ts';

/** Networks that tell when they are opened and released. */
function watchedNetworks() {
  const happened: string[] = [];
  const runtime = openNodeRuntime();
  let failing = 0;
  return {
    happened,
    failOnce: () => (failing = 1),
    network: (key: string, gigabytes: number): PreparedNetwork => ({
      key,
      bytes: gigabytes * 1e9,
      async open() {
        if (failing-- > 0) throw new AppError('out_of_memory', 'It is full.');
        const graph = new Graph({ name: key, weights: tensorsOf({}) });
        graph.output('y', graph.input('x', 'float32', [1]));
        const session = await (await runtime).createSession(graph.build().model);
        happened.push(`open ${key}`);
        return {
          ...session,
          async release() {
            happened.push(`release ${key}`);
            await session.release();
          },
        };
      },
    }),
  };
}

test('opens the largest first, hands over in the order asked for, and opens nothing twice', async () => {
  const { network, happened } = watchedNetworks();
  const cache = createSessionCache();
  const [small, large] = [network('small', 0.2), network('large', 0.8)];
  const first = await cache.open([small, large]);
  expect(happened).toEqual(['open large', 'open small']);
  const second = await cache.open([large, small]);
  expect(second).toEqual([first[1], first[0]]);
  expect(happened).toHaveLength(2);
  await cache.release();
  expect(happened.slice(2).sort()).toEqual(['release large', 'release small']);
});

test('opens a network once for two who ask at the same time', async () => {
  const { network, happened } = watchedNetworks();
  const cache = createSessionCache();
  const [first, second] = await Promise.all([
    cache.open([network('same', 0.2)]),
    cache.open([network('same', 0.2)]),
  ]);
  expect(second).toEqual(first);
  expect(happened).toEqual(['open same']);
  await cache.release();
});

test('keeps what was used last as far as memory allows, and never releases what is asked for', async () => {
  const { network, happened } = watchedNetworks();
  const cache = createSessionCache();
  for (const key of ['a', 'b', 'a', 'c']) await cache.open([network(key, 0.9), network('shared', 0.1)]);
  // Of three times 0.9 only two fit; b was used longest ago.
  // Room is made before it is needed.
  expect(happened).toEqual(['open a', 'open shared', 'open b', 'release b', 'open c']);
  await cache.open([network('huge', 3)]);
  expect(happened.slice(-1)).toEqual(['open huge']);
  expect(happened.filter((each) => each.startsWith('release')).sort()).toEqual([
    'release a',
    'release b',
    'release c',
    'release shared',
  ]);
  await cache.release();
});

test('gives everything else up where memory runs out, and tries once more', async () => {
  const { network, happened, failOnce } = watchedNetworks();
  const cache = createSessionCache();
  await cache.open([network('a', 0.1)]);
  failOnce();
  await cache.open([network('b', 0.1)]);
  expect(happened).toEqual(['open a', 'release a', 'open b']);
  await cache.release();
});

test('keeps what may be added later, makes room for it, and opens it only then', async () => {
  const { network, happened, failOnce } = watchedNetworks();
  const cache = createSessionCache();
  await cache.open([network('old', 0.9)]);
  await cache.open([network('a', 0.9)], [network('later', 0.5)]);
  expect(happened).toEqual(['open old', 'release old', 'open a']);
  await cache.add(network('later', 0.5));
  await cache.open([network('b', 0.9)], [network('later', 0.5)]);
  expect(happened.slice(3)).toEqual(['open later', 'release a', 'open b']);
  // One that is added makes room as well, but not of what it is added to.
  await cache.add(network('other', 0.1));
  failOnce();
  await cache.add(network('last', 0.1));
  expect(happened.slice(6)).toEqual(['open other', 'release other', 'open last']);
  await cache.release();
});

test('takes a network that does the same where it is open already', async () => {
  const { network, happened } = watchedNetworks();
  const cache = createSessionCache();
  const [slow, fast] = [network('slow', 1.7), network('fast', 1.7)];
  const wanted = { ...fast, instead: slow };
  const first = await cache.open([slow]);
  expect(await cache.open([wanted])).toEqual(first);
  expect(happened).toEqual(['open slow']);
  await cache.open([fast]);
  expect(happened).toEqual(['open slow', 'release slow', 'open fast']);
  await cache.open([wanted]);
  expect(happened).toHaveLength(3);
  await cache.release();
});

test('adapts a session again each time it is asked for, and opens it once', async () => {
  const { network, happened } = watchedNetworks();
  const cache = createSessionCache();
  const named = (name: string): PreparedNetwork => ({
    ...network('same', 0.2),
    adapt: (session) => Promise.resolve({ ...session, outputNames: [name] }),
  });
  const [first] = await cache.open([named('first')]);
  const [second] = await cache.open([named('second')]);
  expect([first?.outputNames, second?.outputNames]).toEqual([['first'], ['second']]);
  expect(happened).toEqual(['open same']);
  await cache.release();
});
