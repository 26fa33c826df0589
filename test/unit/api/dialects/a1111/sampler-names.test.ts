import { describe, expect, it } from 'vitest';
import { SMALL, txt2img } from '../../../../support/a1111.ts';

describe('sampler_name and scheduler of txt2img', () => {
  it.each([
    ['Euler a', null, 'euler_ancestral', 'automatic', 'Automatic'],
    ['DPM++ 2M', null, 'dpmpp_2m', 'karras', 'Karras'],
    ['DPM++ 2M', 'Automatic', 'dpmpp_2m', 'karras', 'Karras'],
    ['DPM++ 2M', 'exponential', 'dpmpp_2m', 'exponential', 'Exponential'],
    ['DPM++ 2M Karras', null, 'dpmpp_2m', 'karras', 'Karras'],
    ['DPM++ 2M SDE Exponential', null, 'dpmpp_2m_sde', 'exponential', 'Exponential'],
    ['DPM++ 2M SDE Heun', null, 'dpmpp_2m_sde_heun', 'exponential', 'Exponential'],
    ['DPM2 a Karras', null, 'dpm_2_ancestral', 'karras', 'Karras'],
    ['k_euler_a', null, 'euler_ancestral', 'automatic', 'Automatic'],
    ['UniPC', 'SGM Uniform', 'unipc', 'sgm_uniform', 'SGM Uniform'],
    ['Euler', 'SGMUniform', 'euler', 'sgm_uniform', 'SGM Uniform'],
    ['Nonsense', null, 'dpmpp_2m', 'karras', 'Karras'],
    // The schedule in the name wins over the field.
    ['LMS Karras', 'Automatic', 'lms', 'karras', 'Karras'],
    ['DPM++ 2M SDE Karras', 'Automatic', 'dpmpp_2m_sde', 'karras', 'Karras'],
    ['Euler Karras', 'Exponential', 'euler', 'karras', 'Karras'],
    ['DPM++ 2M Karras', 'exponential', 'dpmpp_2m', 'karras', 'Karras'],
    ['Euler SGMUniform', 'karras', 'euler', 'sgm_uniform', 'SGM Uniform'],
    ['DPM++ SDE Automatic', 'exponential', 'dpmpp_sde', 'karras', 'Karras'],
  ])('%s with %s is %s on %s', async (name, scheduler, sampler, schedule, label) => {
    const { job, pass, ignored } = await txt2img({ ...SMALL, sampler_name: name, scheduler });
    expect(pass?.sampler).toMatchObject({ sampler, schedule });
    expect(job?.output.metadata?.scheduleLabel).toBe(label);
    expect(ignored).toEqual(name === 'Nonsense' ? ['sampler_name'] : []);
  });

  it('sampler_index is read the same way, where there is no sampler_name', async () => {
    const { pass } = await txt2img({ ...SMALL, sampler_index: 'LMS Karras', scheduler: 'Automatic' });
    expect(pass?.sampler).toMatchObject({ sampler: 'lms', schedule: 'karras' });
    const both = await txt2img({ ...SMALL, sampler_index: 'LMS Karras', sampler_name: 'Heun' });
    expect(both.pass?.sampler).toMatchObject({ sampler: 'heun', schedule: 'automatic' });
  });

  it('a schedule that is none becomes Automatic and is named', async () => {
    const { pass, ignored } = await txt2img({ ...SMALL, sampler_name: 'Euler', scheduler: 'none such' });
    expect(pass?.sampler).toMatchObject({ sampler: 'euler', schedule: 'automatic' });
    expect(ignored).toEqual(['scheduler']);
  });
});
