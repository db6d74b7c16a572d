/**
 * Which sample is shown: the chosen step's, or the latest. A chosen step that is gone (a resumed run
 * makes it again) lets go.
 *
 * @param {import('../runs/run_state.js').Sample[]} samples by step
 * @param {number | null} chosen
 * @returns {{index: number, step: number, file: string} | null}
 */
export function sampleShown(samples, chosen) {
  if (!samples.length) return null
  const found = samples.findIndex((sample) => sample.step === chosen)
  const index = found < 0 ? samples.length - 1 : found
  return { index, ...samples[index] }
}
