/**
 * Texts in the page's language, from the pack's locales: {"motionAdapters": {"panel": {…}}}.
 *
 * @typedef {(key: string, values?: Record<string, string | number>) => string} Translate
 */

const FALLBACK = 'en'

/**
 * The text of a key such as "panel.stop", with {name} filled in; in English where the language has
 * none, and the key itself where there is no text at all.
 *
 * @param {Record<string, any>} locales by language tag
 * @param {string} locale
 * @returns {Translate}
 */
export function translator(locales, locale) {
  const languages = [locale, locale.split('-')[0], FALLBACK]
  const known = languages.map((language) => locales[language]?.motionAdapters).filter(Boolean)
  return (key, values = {}) => {
    const text = known.map((texts) => lookedUp(texts, key)).find((found) => found !== undefined)
    return (text ?? key).replace(/\{(\w+)\}/g, (whole, name) =>
      Object.hasOwn(values, name) ? String(values[name]) : whole
    )
  }
}

/**
 * A name of the code's as people call it, such as that of a setting; itself where it has no text.
 *
 * @param {Translate} translate
 * @param {string} group
 * @param {string} name
 */
function named(translate, group, name) {
  const key = `${group}.${name}`
  const text = translate(key)
  return text === key ? name : text
}

/**
 * A loss term.
 *
 * @param {Translate} translate
 * @param {string} name
 */
export const termName = (translate, name) => named(translate, 'terms', name)

/**
 * "Training · Steps" for the setting "training.steps".
 *
 * @param {Translate} translate
 * @param {string} path
 */
export const settingName = (translate, path) =>
  path.split('.').map((name) => named(translate, 'settings', name)).join(' · ')

/**
 * @param {any} texts
 * @param {string} key
 * @returns {string | undefined}
 */
function lookedUp(texts, key) {
  const found = key.split('.').reduce((part, name) => part?.[name], texts)
  return typeof found === 'string' ? found : undefined
}
