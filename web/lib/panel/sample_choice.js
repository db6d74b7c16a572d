/**
 * Which sample is shown: the chosen file, or the latest. A chosen one that is gone (a resumed run
 * makes it again) lets go.
 *
 * @param {import('../runs/run_state.js').Sample[]} samples by step and prompt
 * @param {string | null} chosen
 * @returns {{index: number, step: number, file: string} | null}
 */
export function sampleShown(samples, chosen) {
  if (!samples.length) return null
  const found = samples.findIndex((sample) => sample.file === chosen)
  const index = found < 0 ? samples.length - 1 : found
  return { index, ...samples[index] }
}
