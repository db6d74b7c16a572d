import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import test from 'node:test'

import { COLOURS, keepColours } from '../../web/lib/graph/socket_colours.js'

/** As ComfyUI's page does when it takes a palette: types that it does not name are emptied. */
const takePalette = (table, palette) =>
  Object.assign(table, Object.fromEntries(Object.keys(table).map((type) => [type, ''])), palette)

test('the colours stay when the page takes another palette', () => {
  const table = { MODEL: '#b39ddb' }
  keepColours(table)
  assert.deepEqual({ ...table }, { MODEL: '#b39ddb', ...COLOURS })
  takePalette(table, { MODEL: '#111111' })
  assert.deepEqual({ ...table }, { MODEL: '#111111', ...COLOURS })
})

test('a palette that names a type has its own colour for it', () => {
  const table = { MOTION_BASE: '#222222' }
  keepColours(table)
  assert.equal(table.MOTION_BASE, '#222222')
  takePalette(table, { MOTION_ADAPTER: '#333333' })
  assert.equal(table.MOTION_BASE, COLOURS.MOTION_BASE)
  assert.equal(table.MOTION_ADAPTER, '#333333')
})

test('a page without such a table is left alone', () => {
  assert.doesNotThrow(() => keepColours(undefined))
})

test('the style sheet has the same colours', () => {
  const css = readFileSync(new URL('../../web/socket_colours.css', import.meta.url), 'utf8')
  const found = Object.fromEntries(
    [...css.matchAll(/--color-datatype-(\w+): (#\w+);/g)].map((match) => [match[1], match[2]])
  )
  assert.deepEqual(found, COLOURS)
})
