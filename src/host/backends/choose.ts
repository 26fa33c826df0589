import {
  BACKENDS,
  HORDE_ALLOWED_SETTING,
  RUNS_ON_SETTING,
  readRunsOn,
  type BackendId,
  type RunsOn,
} from '#protocol/backends.ts';
import { AppError, toAppError } from '#protocol/error.ts';
import type { Job } from '#protocol/job.ts';
import type { Settings } from '#protocol/settings.ts';
import { factsOf } from '#protocol/tasks.ts';
import type { Backend } from './backend.ts';

export interface Surroundings {
  settings: Settings;
  /** Whether there is a network. */
  online: boolean;
}

/** Which setting says that the user has agreed to send prompts to a service. */
const CONSENT: Readonly<Partial<Record<BackendId, string>>> = { horde: HORDE_ALLOWED_SETTING };

/**
 * Where a job may run: the one place that was asked for, or of `any` those that are allowed and can do it.
 * @param asked what the request says; undefined leaves it to the setting
 * @throws AppError why it can run nowhere: `unsupported_feature` from the backend or without consent, `remote_failed`
 *   without a network
 */
export function chooseBackends(
  job: Job,
  asked: RunsOn | undefined,
  backends: Readonly<Record<BackendId, Backend>>,
  { settings, online }: Surroundings,
): BackendId[] {
  const runsOn = asked ?? bySetting(job, settings, online);
  const wanted = runsOn === 'any' ? (Object.keys(BACKENDS) as BackendId[]) : [runsOn];
  const errors: AppError[] = [];
  const able = wanted.filter((id) => {
    try {
      checkAllowed(id, settings, online);
      backends[id].check(job);
      return true;
    } catch (thrown) {
      errors.push(toAppError(thrown));
      return false;
    }
  });
  const [first] = errors;
  if (able.length === 0 && first) throw first;
  return able;
}

/** The setting is about generating, and about being online; all else runs in this tab without a word. */
function bySetting(job: Job, settings: Settings, online: boolean): RunsOn {
  const generates = factsOf(job).generation(job) !== null;
  return (generates && online && readRunsOn(settings[RUNS_ON_SETTING])) || 'local';
}

/**
 * Whether the user has agreed to send jobs there.
 * @throws AppError `unsupported_feature` without consent, `remote_failed` without a network
 */
export function checkAllowed(id: BackendId, settings: Settings, online: boolean): void {
  const { title, sentTo } = BACKENDS[id];
  const consent = CONSENT[id];
  if (sentTo === null || consent === undefined) return;
  if (settings[consent] !== true) {
    throw new AppError(
      'unsupported_feature',
      `${title} is off: prompts and images would be sent to ${sentTo}. Turn it on in Settings, under “${title}”.`,
    );
  }
  if (!online) {
    throw new AppError(
      'remote_failed',
      `This browser is offline, and ${title} needs a network. Run the job in this tab.`,
    );
  }
}
