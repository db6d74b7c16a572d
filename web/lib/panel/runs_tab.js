/**
 * The Runs tab of the sidebar: every run, and of the chosen one all that its node's panel shows,
 * with its settings and what can be done with it.
 *
 * @typedef {import('../runs/run_state.js').Run} Run
 * @typedef {import('../runs/run_state.js').Summary} Summary
 * @typedef {import('../runs/run_list.js').Show} Show
 * @typedef {import('../text/texts.js').Translate} Translate
 * @typedef {import('./panel.js').Shown} Shown
 * @typedef {{choose: (id: string) => void, load: (run: Run) => void,
 *   delete: (runs: Summary[], names: string[]) => void, refresh: () => void}} TabActions
 */
import { button, element, setText } from '../page/elements.js'
import { keptInPanel } from '../page/keyboard.js'
import { isListed, SHOWS } from '../runs/run_list.js'
import { isActive } from '../runs/run_state.js'
import { TrainingPanel } from './panel.js'
import { RunsList } from './runs_list.js'

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
    this.tabActions = tabActions
    this.panel = new TrainingPanel(translate, locale, actions, url)
    /** @type {Run | null} */
    this.run = null
    /** What was drawn last. @type {{runs: Summary[], names: Map<string, string>, shown: Shown, chosen: string} | null} */
    this.drawn = null
    this.build(locale)
  }

  /** @param {string} locale */
  build(locale) {
    const t = this.translate
    this.load = this.button('load', () => this.run && this.tabActions.load(this.run))
    this.remove = this.button('delete', () => this.run && this.delete([this.run]))
    this.about = element('div', { class: 'about' }, [
      element('div', { class: 'buttons' }, [this.load, this.remove])
    ])
    this.detail = element('div', { class: 'detail' }, [this.panel.element, this.about])
    const actions = { choose: this.tabActions.choose, marked: () => this.again() }
    this.list = new RunsList(t, locale, this.detail, actions)
    this.empty = element('p', { class: 'empty' })
    const refresh = this.button('refresh', () => this.tabActions.refresh())
    this.element = element('div', { class: 'motion-adapters-runs', onkeydown: keptInPanel }, [
      element('header', {}, [element('h2', { text: t('tab.title') }), refresh]),
      this.tools(),
      this.markedTools(),
      this.empty,
      this.list.element
    ])
  }

  /** What is listed. */
  tools() {
    const t = this.translate
    const label = t('tab.search')
    const again = () => this.again()
    this.search = element('input', { type: 'search', placeholder: label, 'aria-label': label, oninput: again })
    const options = SHOWS.map((show) => element('option', { value: show, text: t(`tab.${show}`) }))
    this.show = element('select', { 'aria-label': t('tab.show'), onchange: again }, options)
    this.finding = element('div', { class: 'finding' }, [this.search, this.show])
    return this.finding
  }

  /** What is done with several at once. */
  markedTools() {
    this.count = element('span', { role: 'status' })
    this.removeMarked = this.button('deleteMarked', () => this.delete(this.marked()))
    const unmark = this.button('unmark', () => this.list.unmark())
    const parts = [this.count, this.removeMarked, unmark]
    this.marking = element('div', { class: 'buttons marking', hidden: true }, parts)
    return this.marking
  }

  /**
   * @param {'load' | 'delete' | 'refresh' | 'deleteMarked' | 'unmark'} name
   * @param {() => void} onclick
   */
  button(name, onclick) {
    return button(name, this.translate(`tab.${name}`), this.translate(`tab.${name}Hint`), onclick)
  }

  /** The marked runs that can be deleted. */
  marked() {
    const runs = this.drawn?.runs ?? []
    return runs.filter((run) => this.list.marks.has(run.id) && !isActive(run))
  }

  /** @param {Summary[]} runs */
  delete(runs) {
    const names = this.drawn?.names
    this.tabActions.delete(runs, runs.map((run) => names?.get(run.id) ?? run.id))
  }

  /**
   * @param {Summary[]} runs
   * @param {Map<string, string>} names of the runs
   * @param {Shown} shown the chosen run
   * @param {string} chosen its id, '' for none
   */
  update(runs, names, shown, chosen) {
    this.drawn = { runs, names, shown, chosen }
    this.run = shown.run
    const { value: text } = this.search
    const listed = runs.filter((run) => isListed(run, text, /** @type {Show} */ (this.show.value)))
    this.list.update(listed, names, chosen)
    this.finding.hidden = runs.length === 0
    this.empty.hidden = listed.length > 0 || !shown.loaded
    setText(this.empty, this.translate(runs.length ? 'tab.none' : 'tab.empty'))
    this.updateMarking(shown)
    this.panel.update(shown)
    this.about.hidden = shown.run === null
    if (shown.run) this.updateAbout(shown.run, shown)
  }

  again() {
    if (this.drawn) this.update(this.drawn.runs, this.drawn.names, this.drawn.shown, this.drawn.chosen)
  }

  /** @param {Shown} shown */
  updateMarking({ isAway }) {
    const { size } = this.list.marks
    this.marking.hidden = size === 0
    setText(this.count, this.translate('tab.marked', { count: size }))
    this.removeMarked.disabled = isAway || this.marked().length === 0
  }

  /**
   * @param {Run} run
   * @param {Shown} shown
   */
  updateAbout(run, { isAway }) {
    this.load.hidden = !run.has_prompt || run.isGone === true
    this.load.disabled = isAway
    this.remove.disabled = isActive(run) || isAway
  }

  destroy() {
    this.panel.destroy()
    this.element.remove()
  }
}
