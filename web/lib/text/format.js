/** Figures as text. `locale` is a BCP 47 tag such as "en" or "zh". */

/** Formatters by what they are made of: one takes a hundred times as long to make as to use.
 * @type {Map<string, any>} */
const made = new Map()

/**
 * @template F
 * @param {string} key
 * @param {() => F} make
 * @returns {F}
 */
function kept(key, make) {
  if (!made.has(key)) made.set(key, make())
  return made.get(key)
}

/** What stands where there is no figure. */
export const NONE = '–'

/**
 * "2:05", with hours "1:00:00".
 *
 * @param {number | null | undefined} seconds
 */
export function clock(seconds) {
  if (seconds == null || !Number.isFinite(seconds)) return NONE
  const whole = Math.max(0, Math.round(seconds))
  const two = (/** @type {number} */ value) => String(value).padStart(2, '0')
  const hours = Math.floor(whole / 3600)
  const minutes = Math.floor(whole / 60) % 60
  return hours ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`
}

/**
 * Three significant digits or so: "0.0123", "12.3", "1.2e-5".
 *
 * @param {number | null | undefined} value
 */
export function figure(value) {
  if (value == null || !Number.isFinite(value)) return NONE
  const size = Math.abs(value)
  if (size !== 0 && (size < 1e-3 || size >= 1e5)) {
    return value.toExponential(2).replace(/\.?0+e/, 'e').replace('e+', 'e')
  }
  return String(Number(value.toPrecision(3)))
}

/**
 * @param {number | null | undefined} value
 * @param {string} [locale]
 */
export function whole(value, locale = 'en') {
  if (value == null) return NONE
  return kept(`number ${locale}`, () => new Intl.NumberFormat(locale)).format(value)
}

/**
 * "3.2 GiB".
 *
 * @param {number | null | undefined} bytes
 */
export function bytes(bytes) {
  if (bytes == null || bytes <= 0) return NONE
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  const power = Math.min(units.length - 1, Math.floor(Math.log2(bytes) / 10))
  const value = bytes / 2 ** (10 * power)
  return `${value >= 100 || power === 0 ? Math.round(value) : value.toFixed(1)} ${units[power]}`
}

/**
 * Day and time, in the locale's way.
 *
 * @param {number} seconds since 1970
 * @param {string} [locale]
 * @param {string} [timeZone]
 */
export function moment(seconds, locale = 'en', timeZone) {
  const options = /** @type {const} */ ({ dateStyle: 'medium', timeStyle: 'short', timeZone })
  const make = () => new Intl.DateTimeFormat(locale, options)
  return kept(`moment ${locale} ${timeZone}`, make).format(1000 * seconds)
}

/**
 * A nested object as "a.b" → text, for lists of settings.
 *
 * @param {object} value
 * @param {string} [prefix]
 * @returns {[string, string][]}
 */
export function flattened(value, prefix = '') {
  return Object.entries(value).flatMap(([key, entry]) => {
    const name = prefix ? `${prefix}.${key}` : key
    if (entry !== null && typeof entry === 'object' && !Array.isArray(entry)) {
      return flattened(entry, name)
    }
    const text = Array.isArray(entry) ? entry.join(', ') : String(entry ?? '')
    return [[name, text || NONE]]
  })
}
