/**
 * All settings of a run as they were resolved, in a fold.
 *
 * @typedef {import('../text/texts.js').Translate} Translate
 */
import { element } from '../page/elements.js'
import { flattened } from '../text/format.js'
import { settingName } from '../text/texts.js'

export class SettingsFold {
  /** @param {Translate} translate */
  constructor(translate) {
    this.translate = translate
    this.list = element('dl', { class: 'settings' })
    const title = element('summary', { text: translate('panel.settings') })
    this.element = element('details', {}, [title, this.list])
  }

  /** @param {object} settings of a run */
  update(settings) {
    const rows = flattened(settings)
    const wanted = JSON.stringify(rows)
    if (this.list.dataset.shows === wanted) return
    this.list.dataset.shows = wanted
    const pairs = rows.map(([name, value]) =>
      element('div', {}, [
        element('dt', { text: settingName(this.translate, name) }),
        element('dd', { text: value })
      ])
    )
    this.list.replaceChildren(...pairs)
  }
}
