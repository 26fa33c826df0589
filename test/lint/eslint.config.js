import { fileURLToPath } from 'node:url';
import js from '@eslint/js';
import svelte from 'eslint-plugin-svelte';
import { defineConfig } from 'eslint/config';
import ts from 'typescript-eslint';

/** The folders each folder of src may import from, besides itself. src/README.md says why. */
const mayImport = {
  protocol: [],
  codecs: [],
  storage: ['protocol', 'codecs'],
  weights: ['protocol', 'codecs'],
  imaging: ['protocol', 'codecs'],
  engine: ['protocol', 'codecs', 'storage', 'weights', 'imaging'],
  library: ['protocol', 'codecs', 'storage', 'weights'],
  host: ['protocol', 'codecs', 'storage'],
  api: ['protocol', 'codecs', 'imaging'],
  sw: ['protocol', 'codecs', 'api', 'storage'],
  ui: ['protocol', 'codecs', 'imaging'],
};

const noParentImports = {
  regex: '^\\.\\./',
  message: "Inside a folder write './file.ts', across folders '#folder/file.ts'.",
};

const onlyRuntimeImportsOrt = {
  regex: '^onnxruntime-web',
  message: 'engine/runtime is the only importer of onnxruntime-web: overlapping calls abort its wasm module.',
};

const layerRules = Object.entries(mayImport).map(([folder, allowed]) => ({
  files: [`src/${folder}/**`],
  rules: {
    'no-restricted-imports': [
      'error',
      {
        patterns: [
          noParentImports,
          onlyRuntimeImportsOrt,
          {
            regex: `^#(?!(${[folder, ...allowed].join('|')})/)`,
            message: `src/${folder} may import only from: ${[folder, ...allowed].join(', ')}.`,
          },
        ],
      },
    ],
  },
}));

const noWindow = ['document', 'window', 'localStorage'].map((name) => ({
  name,
  message: 'This code also runs where there is no page.',
}));

export default defineConfig(
  { ignores: ['dist/', 'node_modules/', 'test-results/', 'public/'] },
  js.configs.recommended,
  ...ts.configs.strictTypeChecked,
  ...svelte.configs.recommended,
  {
    languageOptions: {
      parserOptions: {
        tsconfigRootDir: fileURLToPath(new URL('../..', import.meta.url)),
        projectService: {
          allowDefaultProject: ['test/lint/*.js', 'vite.config.ts'],
          defaultProject: 'test/tsconfig.json',
        },
        extraFileExtensions: ['.svelte'],
      },
    },
    rules: {
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true },
      ],
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      '@typescript-eslint/no-invalid-void-type': ['error', { allowInGenericTypeArguments: true }],
      'no-undef': 'off',
      // Playwright reads a fixture's needs from its first parameter's pattern, also when there are none.
      'no-empty-pattern': ['error', { allowObjectPatternsAsParameters: true }],
    },
  },
  { files: ['**/*.svelte', '**/*.svelte.ts'], languageOptions: { parserOptions: { parser: ts.parser } } },
  ...layerRules,
  {
    files: ['src/engine/runtime/**'],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          patterns: [
            noParentImports,
            {
              regex: '^#(?!(engine|protocol|codecs|storage)/)',
              message: 'See src/README.md, import direction.',
            },
            {
              regex: '^onnxruntime-web$',
              message: 'The default entry is the deprecated JSEP build: name a build.',
            },
          ],
        },
      ],
    },
  },
  {
    files: ['src/{engine,weights,imaging,api,sw,library,storage,protocol,codecs}/**'],
    rules: { 'no-restricted-globals': ['error', ...noWindow] },
  },
  { files: ['test/lint/*.js'], extends: [ts.configs.disableTypeChecked] },
);
