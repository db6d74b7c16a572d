/** Colours of the pack's sockets, by their types. */
export const COLOURS = {
  MOTION_BASE: '#c9a227',
  MOTION_CLIPS: '#4db6ac',
  MOTION_ADAPTER: '#f0803c',
  MOTION_METHOD_SETTINGS: '#a1887f'
}

/**
 * Adds them to a table of colours by type. Whenever the page takes another palette, it empties the
 * colours of all types that the palette does not name: these stay, but for those that it does name.
 *
 * @param {Record<string, string> | undefined} table of ComfyUI's canvas; older pages may lack one
 */
export function keepColours(table) {
  if (!table) return
  for (const [type, colour] of Object.entries(COLOURS)) {
    let named = table[type]
    Object.defineProperty(table, type, {
      configurable: true,
      enumerable: true,
      get: () => named || colour,
      set: (value) => {
        named = value
      }
    })
  }
}
