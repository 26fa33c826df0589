import { INCLUDED } from './included.ts';
import type { AddOnPack, ModelId } from './model.ts';

/** What describes an image, and how. */
export type Describer = BuiltInDescriber | TaggerDescriber | CaptionerDescriber;

/**
 * The describer included with the app: names the thing that an image of the built-in model shows, its color, its style and
 * its background. It knows no other images.
 */
export type BuiltInDescriber =
  /** A prompt such as `red apple, 3d render`. */
  | { kind: 'built-in'; as: 'prompt' }
  /** The same as tags, with those that go with the thing. */
  | { kind: 'built-in'; as: 'tags'; rules: TagRules };

/** An installed tagger, such as WD14 or DeepDanbooru. */
export interface TaggerDescriber {
  kind: 'tagger';
  model: ModelId;
  rules: TagRules;
}

/** Which tags become the text, and how they are written. Source: A1111, modules/deepbooru.py, and its settings. */
export interface TagRules {
  /** 0 … 1: how certain a tag has to be (`interrogate_deepbooru_score_threshold`). */
  threshold: number;
  /** In alphabetical order instead of by certainty (`deepbooru_sort_alpha`). */
  sortsByName: boolean;
  /** Blanks in place of underscores (`deepbooru_use_spaces`). */
  usesSpaces: boolean;
  /** Backslashes before brackets, which would be emphasis in a prompt (`deepbooru_escape`). */
  escapes: boolean;
  /** Each tag as `(tag:0.876)` (`interrogate_return_ranks`). */
  showsScores: boolean;
  /** Tags to leave out, with underscores (`deepbooru_filter_tags`). */
  leaveOut: readonly string[];
}

/** An installed caption model: one sentence, or more of those that can say more. */
export interface CaptionerDescriber {
  kind: 'captioner';
  model: ModelId;
  /** The text ends after so many tokens, if not before. */
  maxTokens: number;
  /** How much is said; `sentence` by default. Only Florence-2 has a choice. */
  extent?: CaptionExtent;
}

/** How much Florence-2 says of an image. */
export const CAPTION_EXTENTS = ['sentence', 'details', 'paragraph'] as const;

export type CaptionExtent = (typeof CAPTION_EXTENTS)[number];

/** A1111's defaults; those of other services are not known. */
export const DEFAULT_TAG_RULES: TagRules = {
  threshold: 0.5,
  sortsByName: true,
  usesSpaces: true,
  escapes: true,
  showsScores: false,
  leaveOut: [],
};

/** Tokens of a caption at most; of a sentence A1111's `interrogate_clip_max_length`. */
const CAPTION_TOKENS: Readonly<Record<CaptionExtent, number>> = {
  sentence: 48,
  details: 128,
  paragraph: 256,
};

/** How a description is asked for. */
interface DescribeOptions {
  rules?: TagRules;
  extent?: CaptionExtent;
  /** What goes with the extent by default. */
  maxTokens?: number;
}

/** Describes images by a pack: the included describer, a caption model or a tagger. */
export function describerOf(
  pack: Pick<AddOnPack, 'id' | 'kind' | 'network'>,
  {
    rules = DEFAULT_TAG_RULES,
    extent = 'sentence',
    maxTokens = CAPTION_TOKENS[extent],
  }: DescribeOptions = {},
): Describer {
  const { id, kind } = pack;
  if (id === INCLUDED.describer.id) return { kind: 'built-in', as: 'prompt' };
  if (kind === 'tagger') return { kind, model: id, rules };
  return { kind: 'captioner', model: id, maxTokens, ...(hasExtents(pack) && { extent }) };
}

/** Whether a caption model can say more than a sentence. */
export function hasExtents({ network }: Pick<AddOnPack, 'network'>): boolean {
  return network === 'florence2';
}
