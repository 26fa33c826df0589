import { namesOf, openAddOns, packKey } from '#engine/models/add-ons.ts';
import { openPackFiles, type ReadFile } from '#engine/models/pack-files.ts';
import { openTokenizer } from '#engine/models/tokenizers.ts';
import { CHUNK_CONTENT, type ClipTokenizer } from '#engine/tokenizers/clip.ts';
import type { PromptChunk } from '#engine/text/chunk.ts';
import type { Embedding, Embeddings } from '#engine/text/embeddings.ts';
import { planPrompt, type PromptSchedule } from '#engine/text/plan.ts';
import type { TokenCount } from '#protocol/engine-host.ts';
import type { EngineWorker } from '#protocol/engine-worker.ts';
import type { AddOnPack, AnyPack, ModelPack } from '#protocol/model.ts';
import { foldName } from '#protocol/names.ts';

/** The syntax that tokens are counted in, which is the app's. */
const OPTIONS = { syntax: 'a1111', emphasis: 'original', clipSkip: 1, commaPaddingBacktrack: 20 } as const;

/** Prompt schedules are counted for this many steps: only what a prompt says after them is left out. */
const STEPS = 150;

/**
 * What counts tokens, without the networks of a model: its tokenizer is opened once, and the files of embeddings are read where
 * a prompt has their names. The longest text of a schedule and of the parts of `AND` counts, as in A1111's counter
 * (modules/ui.py, `update_token_counter`). Embeddings that LoRAs bring along count as words.
 * @param filesOf where the files of a pack are read from
 */
export function createTokenCounter(filesOf: (pack: AnyPack) => ReadFile): EngineWorker['countTokens'] {
  let last: { key: string; tokenizer: Promise<ClipTokenizer> } | null = null;

  function tokenizerOf(pack: ModelPack): Promise<ClipTokenizer> {
    const key = packKey(pack);
    if (last?.key === key) return last.tokenizer;
    const opened = openTokenizer(openPackFiles(pack, filesOf(pack)), pack.family);
    const tokenizer = opened.then(({ tokenizer }) => tokenizer);
    // The next question tries again.
    tokenizer.catch(() => (last = null));
    last = { key, tokenizer };
    return tokenizer;
  }

  return async (pack, installed, texts) => {
    const tokenizer = await tokenizerOf(pack);
    const packs = installed.filter(
      (each): each is AddOnPack =>
        each.kind === 'embedding' && (each.family === null || each.family === pack.family),
    );
    const embeddings = await readEmbeddings(packs, filesOf, `${texts.prompt}\n${texts.negativePrompt}`);
    const { positive, negative } = planPrompt(
      { texts: [texts.prompt], negativeTexts: [texts.negativePrompt], options: OPTIONS, steps: STEPS },
      tokenizer,
      embeddings,
    );
    return {
      prompt: longest(
        positive.map(({ schedule }) => schedule),
        tokenizer,
      ),
      negativePrompt: longest([negative], tokenizer),
    };
  };
}

/** The embeddings whose names are in a text; their vectors are not needed. */
async function readEmbeddings(
  packs: readonly AddOnPack[],
  filesOf: (pack: AddOnPack) => ReadFile,
  text: string,
): Promise<Embeddings> {
  const addOns = openAddOns(packs, filesOf);
  const folded = foldName(text);
  const found = new Map<string, Embedding>();
  for (const pack of packs) {
    for (const name of namesOf(pack).filter((each) => folded.includes(foldName(each)))) {
      const { tokens: count } = await addOns.readEmbedding(pack);
      found.set(name, { name, key: packKey(pack), count, vectors: [] });
    }
  }
  return found;
}

function longest(schedules: readonly PromptSchedule[], tokenizer: ClipTokenizer): TokenCount {
  const counts = schedules
    .flat()
    .flatMap(({ encoding }) => encoding)
    .map((chunks) => countOf(chunks, tokenizer));
  return counts.reduce((most, count) => (count.tokens > most.tokens ? count : most), {
    tokens: 0,
    length: CHUNK_CONTENT,
  });
}

/** Chunks but the last count in full, whatever stands in them (modules/sd_hijack_clip.py, `tokenize_line`). */
function countOf(chunks: readonly PromptChunk[], { endId }: ClipTokenizer): TokenCount {
  const used = chunks.map(({ ids }) => ids.indexOf(endId, 1) - 1);
  const last = used.findLastIndex((count) => count > 0);
  if (last < 0) return { tokens: 0, length: CHUNK_CONTENT };
  return { tokens: last * CHUNK_CONTENT + (used[last] ?? 0), length: (last + 1) * CHUNK_CONTENT };
}
