import { findAddOn } from '#api/models.ts';
import { AppError } from '#protocol/error.ts';
import { textFinderModels, type Finder } from '#protocol/finder.ts';
import { usableAddOns, type AddOnInfo } from '#protocol/model.ts';
import type { MaskModel } from './tool-bodies.ts';
import { wrongValue } from './wrong-value.ts';

/** What a request says of what is to be found. */
export interface MaskRequest {
  model: MaskModel;
  /** What to look for, in words; of `sam` only. Several things have full stops between them. */
  text: string;
  /** 0 … 1: how certain a face, or what the words name, has to be. */
  boxThreshold: number;
  /** 0 for all. */
  maxDetections: number;
  /** Whether rectangles are wanted in place of outlines. */
  boxes: boolean;
  /** Pixels that what `sam` finds is to grow by, or below 0 to shrink. */
  grow: number;
}

/** Where a request says it, for its refusal. */
export interface MaskFields {
  model: string;
  text: string;
}

/** What finds the mask, and what is left to be done with it. */
export interface ChosenFinder {
  finder: Finder;
  /** Pixels that the mask is to grow by; rectangles that words name grow before they are outlined, as in Fooocus. */
  grow: number;
}

/** Which networks do the work of Fooocus' salient object models, besides one of the same name. */
const NETWORKS: Partial<Readonly<Record<MaskModel, string>>> = {
  u2net: 'u2net',
  u2netp: 'u2net',
  silueta: 'u2net',
  'isnet-general-use': 'isnet',
  'isnet-anime': 'isnet-anime',
};

const FACE_WORDS = /^(?:(?:a|the|her|his|human) )?(?:faces?|heads?)$/;
const PERSON_WORDS =
  /^(?:(?:a|the) )?(?:persons?|people|humans?|(?:wo)?m[ae]n|girls?|boys?|child(?:ren)?|bod(?:y|ies))$/;

/**
 * What finds the mask of a request: the networks included with the app, or installed ones.
 * @throws AppError `model_not_found` for a model that is not installed, `invalid_request` for `sam` without words,
 *   `unsupported_feature` for clothes
 */
export function chooseFinder(
  request: MaskRequest,
  addOns: readonly AddOnInfo[],
  fields: MaskFields,
): ChosenFinder {
  const { model, maxDetections, boxes } = request;
  const limit = maxDetections > 0 ? { max: maxDetections } : {};
  if (model === 'sam') {
    const finder = { ...finderOfText(request, addOns, fields.text), ...limit };
    return { finder, grow: finder.kind === 'text' ? 0 : Math.trunc(request.grow) };
  }
  const installed = installedFinder(model, addOns);
  if (installed) return { finder: { kind: 'salient', model: installed.pack.id }, grow: 0 };
  if (model === 'u2net_human_seg')
    return { finder: { kind: 'person', shape: boxes ? 'box' : 'outline' }, grow: 0 };
  if (model === 'u2net_cloth_seg') {
    throw new AppError(
      'unsupported_feature',
      `'${fields.model}' is 'u2net_cloth_seg', and nothing here finds clothes. Use 'u2net_human_seg' for people.`,
      { detail: { parameter: fields.model } },
    );
  }
  throw new AppError(
    'model_not_found',
    `The model '${model}' is not installed. Import its .onnx file in Models; or use 'u2net_human_seg' for people, or 'sam' with the words 'face' or 'person'.`,
    { detail: { parameter: fields.model } },
  );
}

/** Faces and people are found by networks that come with the app; all else takes an imported one. */
function finderOfText(
  { text, boxThreshold, boxes, grow }: MaskRequest,
  addOns: readonly AddOnInfo[],
  field: string,
): Finder {
  const words = text
    .trim()
    .toLowerCase()
    .replace(/[.,\s]+$/, '');
  if (words === '') throw wrongValue(field, "It is empty. Say what to find, such as 'face' or 'person'.");
  if (FACE_WORDS.test(words))
    return { kind: 'faces', threshold: boxThreshold, shape: boxes ? 'box' : 'ellipse' };
  if (PERSON_WORDS.test(words)) return { kind: 'person', shape: boxes ? 'box' : 'outline' };
  const models = textFinderModels(addOns);
  if (models) {
    const { model, segmenter } = models;
    return {
      kind: 'text',
      model,
      ...(!boxes && segmenter !== undefined && { segmenter }),
      text: words,
      threshold: boxThreshold,
      ...(grow !== 0 && { grow }),
    };
  }
  throw new AppError(
    'model_not_found',
    `Nothing that is installed finds “${text}”: without more, only 'face' and 'person' are found by words. Import a Grounding DINO or an OWL-ViT in Models (ONNX), and a Segment Anything for outlines; or choose another mask model.`,
    { detail: { parameter: field } },
  );
}

/** A salient object network of this name, or one of the same kind. */
function installedFinder(model: MaskModel, addOns: readonly AddOnInfo[]): AddOnInfo | undefined {
  const network = NETWORKS[model];
  const named = findAddOn(addOns, 'finder', model);
  if (named?.pack.network !== undefined && isSalient(named)) return named;
  return network === undefined
    ? undefined
    : usableAddOns(addOns, 'finder').find(({ pack }) => pack.network === network);
}

function isSalient({ pack: { network } }: AddOnInfo): boolean {
  return Object.values(NETWORKS).some((known) => known === network);
}
