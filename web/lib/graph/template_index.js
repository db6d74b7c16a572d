/**
 * The index of the pack's workflows, in the form of ComfyUI's own.
 *
 * @typedef {{title: string, templates: object[]}} Category
 */

/**
 * What ComfyUI lists by file names, without the pack: its index has them with their titles.
 *
 * @param {Record<string, string[]>} listed
 * @param {string} pack
 */
export const withoutPack = (listed, pack) =>
  Object.fromEntries(Object.entries(listed).filter(([name]) => name !== pack))

/**
 * ComfyUI's categories and the pack's. A category without a group of its own is listed under the
 * extensions.
 *
 * @param {Category[]} core
 * @param {Category[]} own
 * @param {string} pack by which their files are asked for
 */
export const withIndex = (core, own, pack) => [
  ...core,
  ...own.map((category) => ({ ...category, moduleName: pack }))
]
