import { expose } from 'comlink';
import { BACKENDS } from '#protocol/backends.ts';
import { carryErrorCodes } from '#protocol/error-transfer.ts';
import { openKeys } from '#storage/keys.ts';
import { createHorde } from './horde.ts';

carryErrorCodes();

const keys = openKeys();

expose(
  createHorde({
    address: `https://${BACKENDS.horde.sentTo}/api`,
    key: () => keys.get('horde'),
  }),
);
