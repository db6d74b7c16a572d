/** Texts: looking up, filling in, and that every text of the panel is there in both languages. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { test } from 'node:test'

import { settingName, termName, translator } from '../../web/lib/text/texts.js'

const read = (path) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8')
const locales = Object.fromEntries(
  ['en', 'zh'].map((language) => [language, JSON.parse(read(`locales/${language}/main.json`))])
)

/** "a.b" → text, for all texts in an object. */
function flat(texts, prefix = '') {
  return Object.fromEntries(
    Object.entries(texts).flatMap(([key, value]) =>
      typeof value === 'string' ? [[prefix + key, value]] : Object.entries(flat(value, `${prefix}${key}.`))
    )
  )
}

const english = flat(locales.en.motionAdapters)
const chinese = flat(locales.zh.motionAdapters)
const blanks = (text) => (text.match(/\{\w+\}/g) ?? []).sort().join()

test('a text is filled in', () => {
  const t = translator({ en: { motionAdapters: { a: { b: '{x} of {y}' } } } }, 'en')
  assert.equal(t('a.b', { x: 1, y: 2 }), '1 of 2')
})

test('data with a blank in it is not filled in again', () => {
  const t = translator({ en: { motionAdapters: { a: '{x}' } } }, 'en')
  assert.equal(t('a', { x: '{x} $& <b>' }), '{x} $& <b>')
})

test('a region falls back to its language, a missing text to English, then to its key', () => {
  const texts = { en: { motionAdapters: { a: 'A', b: 'B' } }, zh: { motionAdapters: { a: '甲' } } }
  const t = translator(texts, 'zh-TW')
  assert.deepEqual([t('a'), t('b'), t('c.d')], ['甲', 'B', 'c.d'])
})

test('both languages have the same texts with the same blanks', () => {
  assert.deepEqual(Object.keys(chinese).sort(), Object.keys(english).sort())
  for (const [key, text] of Object.entries(english)) assert.equal(blanks(chinese[key]), blanks(text), key)
})

test('every text that the code asks for is there, and none is left over', () => {
  const files = ['web/extension.js', 'web/suited.js', ...readdirSync(new URL('../../web/lib', import.meta.url), { recursive: true })
    .filter((name) => name.endsWith('.js'))
    .map((name) => `web/lib/${name}`)]
  const code = files.map(read).join('\n')
  const asked = [...code.matchAll(/(?:translate|\bt)\(\s*'([\w.]+)'/g)].map((match) => match[1])
  for (const key of asked) assert.ok(Object.hasOwn(english, key), key)
  // Keys that the code puts together from a name.
  const made = /^(state|doing|waiting|commands|terms|settings)\.|^(panel|tab)\.(apply|resume|load|delete|refresh|deleteMarked|unmark)(Hint)?$|^tab\.(all|active|unfinished|finished)$|^panel\.(checkpoint|resumed)$/
  const unused = Object.keys(english).filter(
    (key) => !asked.includes(key) && !made.test(key) && !code.includes(`'${key}'`)
  )
  assert.deepEqual(unused, [])
})

test('Chinese texts have full-width punctuation', () => {
  for (const [key, text] of Object.entries(chinese)) assert.doesNotMatch(text, /[,:;?!()]/, key)
})

test('a term or a setting that is known has a name, another one is its own', () => {
  const t = translator(locales, 'zh')
  assert.deepEqual([termName(t, 'spatial'), termName(t, 'new_term')], ['空间', 'new_term'])
  assert.equal(settingName(t, 'objective.settings.rank'), '方法 · 设置 · 秩')
  assert.equal(settingName(t, 'clips.0'), '片段 · 0')
})

test('every state of a run has a name', () => {
  for (const state of ['preparing', 'running', 'saving', 'finished', 'stopped', 'cancelled', 'paused', 'failed', 'interrupted']) {
    assert.ok(english[`state.${state}`])
  }
})
