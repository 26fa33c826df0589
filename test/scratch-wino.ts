import { buildEmoji, readEmoji } from './support/emoji-weights.ts';
import { openGraph } from './support/onnx-session.ts';
import { pseudoRandom } from './support/random-weights.ts';
import { relativeError } from './support/relative-error.ts';
const opts = { graphOptimizationLevel: 'layout' as never, extra: { session: { disable_quant_qdq: '1' } } };
const inputs = {
  unet: { sample: { data: pseudoRandom(2*16*16*16), shape: [2,16,16,16] }, timestep: { data: Float32Array.of(321), shape: [1] }, encoder_hidden_states: { data: pseudoRandom(2*77*256,2), shape: [2,77,256] } },
  vae_decoder: { latent_sample: { data: pseudoRandom(16*256), shape: [1,16,16,16] } },
} as const;
for (const network of (process.argv[2]?.split(',') ?? ['unet','vae_decoder']) as ('unet'|'vae_decoder')[]) {
  const weights = await readEmoji(network, 'int8');
  const sessions = [] as Awaited<ReturnType<typeof openGraph>>[];
  for (const winograd of [false, true]) {
    const c = process.cpuUsage();
    const m = process.memoryUsage().rss;
    sessions.push(await openGraph(buildEmoji(network, weights, { winograd } as never), weights, {}, opts));
    console.log(network, winograd, 'create ms', process.cpuUsage(c).user / 1000, 'rss MB', (process.memoryUsage().rss - m) / 1e6);
  }
  const [a, b] = sessions;
  if (!a || !b) throw new Error('');
  const out = [await a.run(inputs[network] as never), await b.run(inputs[network] as never)];
  const [ka] = Object.keys(out[0] ?? {});
  console.log(network, 'error', relativeError(out[1]?.[ka ?? '']?.data ?? new Float32Array(), out[0]?.[ka ?? '']?.data ?? new Float32Array()));
  const times: number[][] = [[], []];
  for (let i = 0; i < Number(process.argv[3] ?? 15); i++) for (const k of i % 2 ? [1, 0] : [0, 1]) {
    const c = process.cpuUsage();
    await (k ? b : a).run(inputs[network] as never);
    const u = process.cpuUsage(c); times[k]?.push((u.user + u.system) / 1000);
  }
  const med = (t: number[]) => t.sort((x, y) => x - y)[t.length >> 1] ?? 0;
  const ratios = times[0]?.map((t, i) => (times[1]?.[i] ?? 0) / t) ?? [];
  console.log(network, med(times[0] ?? []), med(times[1] ?? []), 'ratio', med(times[1] ?? []) / med(times[0] ?? []), med(ratios));
}
