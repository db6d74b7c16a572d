/**
 * The Runs tab of the sidebar: every run, and of the chosen one all that its node's panel shows,
 * with its settings and what can be done with it.
 *
 * @typedef {import('../runs/run_state.js').Run} Run
 * @typedef {import('../runs/run_state.js').Summary} Summary
 * @typedef {import('../text/texts.js').Translate} Translate
 * @typedef {import('./panel.js').Shown} Shown
 * @typedef {{choose: (id: string) => void, load: (run: Run) => void,
 *   delete: (run: Run) => void, refresh: () => void}} TabActions
 */
import { button, element, setAttribute, setText } from '../page/elements.js'
import { keptInPanel, movedIndex } from '../page/keyboard.js'
import { isActive, stateKey } from '../runs/run_state.js'
import { bytes, moment, whole } from '../text/format.js'
import { TrainingPanel } from './panel.js'

export class RunsTab {
  /**
   * @param {Translate} translate
   * @param {string} locale
   * @param {import('./panel.js').Actions} actions
   * @param {TabActions} tabActions
   * @param {(run: Run, file: string) => string} url
   */
  constructor(translate, locale, actions, tabActions, url) {
    this.translate = translate
    this.locale = locale
    this.tabActions = tabActions
    this.panel = new TrainingPanel(translate, locale, actions, url)
    /** @type {Run | null} */
    this.run = null
    /** By run, with what they show. @type {Map<string, {row: HTMLElement, told: string}>} */
    this.rows = new Map()
    this.build()
  }

  build() {
    const t = this.translate
    this.list = element('ul', {
      class: 'runs',
      role: 'listbox',
      'aria-label': t('tab.title'),
      onkeydown: (/** @type {KeyboardEvent} */ event) => this.pressed(event)
    })
    this.load = this.button('load', () => this.run && this.tabActions.load(this.run))
    this.remove = this.button('delete', () => this.run && this.tabActions.delete(this.run))
    this.about = element('div', { class: 'about' }, [
      element('div', { class: 'buttons' }, [this.load, this.remove])
    ])
    this.detail = element('div', { class: 'detail' }, [this.panel.element, this.about])
    this.empty = element('p', { class: 'empty', text: t('tab.empty') })
    const refresh = this.button('refresh', () => this.tabActions.refresh())
    this.element = element('div', { class: 'motion-adapters-runs', onkeydown: keptInPanel }, [
      element('header', {}, [element('h2', { text: t('tab.title') }), refresh]),
      this.empty,
      this.list,
      this.detail
    ])
  }

  /**
   * @param {'load' | 'delete' | 'refresh'} name
   * @param {() => void} onclick
   */
  button(name, onclick) {
    return button(name, this.translate(`tab.${name}`), this.translate(`tab.${name}Hint`), onclick)
  }

  /**
   * @param {Summary[]} runs
   * @param {Shown} shown the chosen run
   */
  update(runs, shown) {
    this.run = shown.run
    this.empty.hidden = runs.length > 0 || !shown.loaded
    this.updateRows(runs)
    this.detail.hidden = shown.run === null && shown.error === null
    this.about.hidden = shown.run === null
    this.panel.update(shown)
    if (shown.run) this.updateDetail(shown.run)
  }

  /** @param {Summary[]} runs */
  updateRows(runs) {
    const ids = new Set(runs.map((run) => run.id))
    for (const [id, { row }] of this.rows) {
      if (ids.has(id)) continue
      row.remove()
      this.rows.delete(id)
    }
    const reached = this.run && ids.has(this.run.id) ? this.run.id : runs[0]?.id
    runs.forEach((run, index) => {
      const shown = this.rows.get(run.id) ?? this.newRow(run.id)
      const { row } = shown
      if (this.list.children[index] !== row) {
        this.list.insertBefore(row, this.list.children[index] ?? null)
      }
      setAttribute(row, 'aria-selected', String(run.id === this.run?.id))
      setAttribute(row, 'tabindex', run.id === reached ? 0 : -1)
      const told = rowKey(run)
      if (shown.told !== told) this.fillRow(row, run)
      shown.told = told
    })
  }

  /**
   * @param {HTMLElement} row
   * @param {Summary} run
   */
  fillRow(row, run) {
    row.dataset.state = run.state
    const steps = `${whole(run.step, this.locale)} / ${whole(run.total, this.locale)}`
    setText(row.children[0], run.title || run.id)
    setText(row.children[1], this.translate(`state.${stateKey(run)}`))
    const facts = [steps, moment(run.latest, this.locale), run.size ? bytes(run.size) : '']
    setText(row.children[2], facts.filter(Boolean).join(' · '))
  }

  /** @param {string} id */
  newRow(id) {
    const parts = ['title', 'state', 'facts'].map((name) => element('span', { class: name }))
    const onclick = () => this.tabActions.choose(id)
    const row = element('li', { role: 'option', 'data-run': id, onclick }, parts)
    const shown = { row, told: '' }
    this.rows.set(id, shown)
    return shown
  }

  /** @param {KeyboardEvent} event */
  pressed(event) {
    const rows = [...this.list.children]
    const at = rows.indexOf(/** @type {Element} */ (document.activeElement))
    if (at >= 0 && (event.key === 'Enter' || event.key === ' ')) {
      event.preventDefault()
      this.tabActions.choose(rows[at].dataset.run)
      return
    }
    const vertical = { ArrowDown: 'ArrowRight', ArrowUp: 'ArrowLeft' }[event.key] ?? event.key
    const index = movedIndex(vertical, at, rows.length)
    if (index === null) return
    event.preventDefault()
    rows[index].focus()
  }

  /** @param {Run} run */
  updateDetail(run) {
    this.load.hidden = !run.has_prompt
    this.remove.disabled = isActive(run)
  }

  destroy() {
    this.panel.destroy()
    this.element.remove()
  }
}

/**
 * All that a row tells: to write it costs more than to compare this, and a list that is read anew
 * has hundreds of rows.
 *
 * @param {Summary} run
 */
function rowKey(run) {
  return [run.title, stateKey(run), run.step, run.total, run.latest, run.size].join()
}
