import { findAddOn } from '#api/models.ts';
import { AppError } from '#protocol/error.ts';
import type { Finder } from '#protocol/finder.ts';
import { usableAddOns, type AddOnInfo } from '#protocol/model.ts';
import type { MaskModel } from './tool-bodies.ts';

/** What a request says of what is to be found. */
export interface MaskRequest {
  model: MaskModel;
  /** What to look for, in words; of `sam` only. */
  text: string;
  /** 0 … 1: how certain a face has to be. */
  boxThreshold: number;
  /** 0 for all. */
  maxDetections: number;
  /** Whether rectangles are wanted in place of outlines. */
  boxes: boolean;
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
 * @param field the parameter that names the model
 * @throws AppError `model_not_found` for a model that is not installed, `unsupported_feature` for clothes and for words that
 *   stand for neither faces nor people
 */
export function chooseFinder(request: MaskRequest, addOns: readonly AddOnInfo[], field: string): Finder {
  const { model, maxDetections, boxes } = request;
  const limit = maxDetections > 0 ? { max: maxDetections } : {};
  if (model === 'sam') return { ...finderOfText(request), ...limit };
  const installed = installedFinder(model, addOns);
  if (installed) return { kind: 'salient', model: installed.pack.id };
  if (model === 'u2net_human_seg') return { kind: 'person', shape: boxes ? 'box' : 'outline' };
  if (model === 'u2net_cloth_seg') {
    throw new AppError(
      'unsupported_feature',
      `'${field}' is 'u2net_cloth_seg', and nothing here finds clothes. Use 'u2net_human_seg' for people.`,
      { detail: { parameter: field } },
    );
  }
  throw new AppError(
    'model_not_found',
    `The model '${model}' is not installed. Import its .onnx file in Models; or use 'u2net_human_seg' for people, or 'sam' with the words 'face' or 'person'.`,
    { detail: { parameter: field } },
  );
}

function finderOfText({ text, boxThreshold, boxes }: MaskRequest): Finder {
  const words = text
    .trim()
    .toLowerCase()
    .replace(/[.,]+$/, '');
  if (FACE_WORDS.test(words))
    return { kind: 'faces', threshold: boxThreshold, shape: boxes ? 'box' : 'ellipse' };
  if (PERSON_WORDS.test(words)) return { kind: 'person', shape: boxes ? 'box' : 'outline' };
  throw new AppError(
    'unsupported_feature',
    `Nothing here finds “${text}” by its name: only faces and people are found by words. Use 'face' or 'person', or install a salient object network and choose it as the mask model.`,
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
