import { existsSync, readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { svelte } from '@sveltejs/vite-plugin-svelte';
import { playwright } from '@vitest/browser-playwright';
import { build, defaultClientConditions, type Plugin } from 'vite';
import { VitePWA } from 'vite-plugin-pwa';
import { defineConfig } from 'vitest/config';
import { LAUNCH_ARGUMENTS, locateChromium } from './test/support/chromium.ts';

/** Threads of the wasm provider need cross-origin isolation. */
const isolationHeaders = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
  'Cross-Origin-Resource-Policy': 'same-origin',
};

/**
 * Everything the page loads comes from our own origin; wasm needs its own permission to compile. Models that people import
 * by address are fetched by the library worker, which has no page's policy.
 */
const contentSecurityPolicy = [
  "default-src 'self'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "style-src 'self'",
  "img-src 'self' blob: data:",
  "connect-src 'self' blob: data:",
  "worker-src 'self'",
  "object-src 'none'",
  "base-uri 'self'",
  "form-action 'none'",
].join('; ');

/** The built pages carry the policy themselves, so that static hosting without headers is as strict. */
function contentSecurityPolicyMeta(): Plugin {
  return {
    name: 'content-security-policy-meta',
    apply: 'build',
    transformIndexHtml: () => [
      {
        tag: 'meta',
        attrs: { 'http-equiv': 'Content-Security-Policy', content: contentSecurityPolicy },
        injectTo: 'head-prepend',
      },
    ],
  };
}

function newestChange(entry: string): number {
  if (!existsSync(entry)) return 0;
  const stats = statSync(entry);
  if (!stats.isDirectory()) return stats.mtimeMs;
  return Math.max(0, ...readdirSync(entry).map((name) => newestChange(path.join(entry, name))));
}

/** `npm start` serves the build, and makes it first when there is none or the sources are newer. */
function buildBeforePreview(): Plugin {
  return {
    name: 'build-before-preview',
    async configurePreviewServer() {
      const sources = ['src', 'public', 'index.html', 'package-lock.json', 'vite.config.ts'].map(
        newestChange,
      );
      if (newestChange('dist/index.html') < Math.max(...sources)) await build();
    },
  };
}

const conditions = ['onnxruntime-web-use-extern-wasm', ...defaultClientConditions];

const chromiumPath = locateChromium();

/** Machines of CI are noisy: a test that fails is tried once more. test/run.ts says how many needed it. */
const retry = process.env['CI'] === undefined ? 0 : 1;

export default defineConfig({
  // Relative, so that the build can be served from any folder.
  base: './',
  resolve: { conditions },
  plugins: [
    svelte(),
    contentSecurityPolicyMeta(),
    buildBeforePreview(),
    VitePWA({
      strategies: 'injectManifest',
      srcDir: 'src/sw',
      filename: 'sw.ts',
      injectRegister: false,
      registerType: 'prompt',
      manifest: {
        id: '.',
        name: 'Vitrine',
        short_name: 'Vitrine',
        description: 'Stable Diffusion in this tab, behind the APIs you already call.',
        start_url: '.',
        scope: '.',
        display: 'standalone',
        background_color: '#14161a',
        theme_color: '#14161a',
        categories: ['graphics', 'developer', 'utilities'],
        icons: [
          { src: 'icons/icon-192.png', sizes: '192x192', type: 'image/png' },
          { src: 'icons/icon-512.png', sizes: '512x512', type: 'image/png' },
          { src: 'icons/icon-maskable-512.png', sizes: '512x512', type: 'image/png', purpose: 'maskable' },
        ],
      },
      injectManifest: {
        // The model goes to IndexedDB and the runtime's wasm into a cache of its own when first used. Screenshots are
        // for the README.
        globPatterns: ['**/*.{html,js,css,svg,png,webmanifest,mjs}'],
        globIgnores: ['models/**', 'screenshots/**', '**/*.wasm'],
        minify: true,
      },
      devOptions: { enabled: true, type: 'module' },
    }),
  ],
  worker: { format: 'es' },
  build: {
    target: 'es2023',
    // The service worker and the pages cannot use inlined files under the policy above.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rolldownOptions: {
      input: { index: 'index.html', host: 'src/embed.ts' },
      output: {
        entryFileNames: (chunk) => (chunk.name === 'host' ? 'host.js' : 'assets/[name]-[hash].js'),
      },
    },
  },
  server: { headers: isolationHeaders },
  preview: { port: Number(process.env['PORT'] ?? 4173), strictPort: true, headers: isolationHeaders },
  optimizeDeps: {
    include: [
      'axe-core',
      'comlink',
      'hash-wasm',
      'idb-keyval',
      'onnx-proto',
      'onnxruntime-web/jspi',
      'onnxruntime-web/wasm',
      'onnxruntime-web/webgpu',
      'workbox-window',
    ],
    // One file an icon: bundling them when they are found would reload the page in the middle of a test.
    exclude: ['@lucide/svelte'],
  },
  test: {
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['test/unit/**/*.test.ts'],
          environment: 'node',
          // One process for many files: to load the sources and ONNX Runtime anew for each takes as long as a third of the tests.
          isolate: false,
          setupFiles: ['test/support/node-20.ts', 'fake-indexeddb/auto'],
          testTimeout: 120_000,
          hookTimeout: 120_000,
          retry,
          expect: { poll: { timeout: 60_000 } },
        },
      },
      {
        extends: true,
        test: {
          name: 'browser',
          include: ['test/browser/**/*.test.ts'],
          setupFiles: ['test/support/svelte-warnings.ts'],
          testTimeout: 120_000,
          retry,
          expect: { poll: { timeout: 60_000 } },
          browser: {
            enabled: true,
            headless: true,
            screenshotFailures: false,
            provider: playwright({
              launchOptions: {
                args: [...LAUNCH_ARGUMENTS],
                ...(chromiumPath !== undefined && { executablePath: chromiumPath }),
              },
            }),
            instances: [{ browser: 'chromium' }],
          },
        },
      },
    ],
  },
});
