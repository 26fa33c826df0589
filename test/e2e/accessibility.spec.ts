import axe from 'axe-core';
import { expect, test } from './app.ts';

const VIEWS = [
  { name: 'phone, light', viewport: { width: 390, height: 844 }, colorScheme: 'light' },
  { name: 'phone, dark', viewport: { width: 390, height: 844 }, colorScheme: 'dark' },
  { name: 'desktop, light', viewport: { width: 1440, height: 900 }, colorScheme: 'light' },
  { name: 'desktop, dark', viewport: { width: 1440, height: 900 }, colorScheme: 'dark' },
] as const;

for (const { name, viewport, colorScheme } of VIEWS) {
  test(`axe finds nothing on any panel: ${name}`, async ({ app, server }) => {
    await app.setViewportSize(viewport);
    await app.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    for (const panel of ['create', 'gallery', 'models', 'api', 'settings']) {
      await app.goto(`${server.origin}/#/${panel}`);
      await app.reload();
      await expect(app.locator('main')).toBeVisible();
      if (panel === 'settings')
        await expect(app.getByText('Answer for hosts that clients have built in')).toBeVisible();
      // What is folded away counts as well.
      for (const details of await app.locator('main details').all())
        await details.evaluate((element: HTMLDetailsElement) => (element.open = true));
      await app.evaluate(axe.source);
      const violations = await app.evaluate(async () => {
        const { axe: injected } = window as Window & typeof globalThis & { axe: typeof axe };
        const results = await injected.run();
        return results.violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`);
      });
      expect(violations, panel).toEqual([]);
      const overflow = await app.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
      expect(overflow, `${panel} is wider than the screen`).toBeLessThanOrEqual(0);
    }
  });
}

test.describe('on a touch screen', () => {
  test.use({ viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true });

  test('the tabs are large enough, and the bar to generate lies upon them', async ({ app }) => {
    const tabs = app.getByRole('navigation', { name: 'Panels' });
    const generate = app.getByRole('button', { name: /generate/i }).last();
    await expect(generate).toBeVisible();
    const [bar, foot] = await Promise.all([
      tabs.boundingBox(),
      app.locator('form .foot').first().boundingBox(),
    ]);
    expect(bar?.height).toBeGreaterThanOrEqual(44);
    expect((foot?.y ?? 0) + (foot?.height ?? 0)).toBeCloseTo(bar?.y ?? NaN, -1);
    expect((bar?.y ?? 0) + (bar?.height ?? 0)).toBeCloseTo(844, 0);
  });
});
