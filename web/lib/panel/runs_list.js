/**
 * The rows of the Runs tab. A click opens a run below its row; a box marks it, for what is done with
 * several at once.
 *
 * @typedef {import('../runs/run_state.js').Summary} Summary
 * @typedef {import('../text/texts.js').Translate} Translate
 */
import { element, setAttribute, setText } from '../page/elements.js'
import { movedIndex } from '../page/keyboard.js'
import { stateKey } from '../runs/run_state.js'
import { bytes, moment, whole } from '../text/format.js'

/** Pixels of a run's detail that are to be seen once it opens. */
const SEEN = 240

export class RunsList {
  /**
   * @param {Translate} translate
   * @param {string} locale
   * @param {HTMLElement} detail what is shown below the chosen row
   * @param {{choose: (id: string) => void, marked: () => void}} actions
   */
  constructor(translate, locale, detail, actions) {
    this.translate = translate
    this.locale = locale
    this.actions = actions
    this.chosen = ''
    /** Whether the chosen run was opened just now. */
    this.isNew = false
    /** Ids of the runs that are marked. @type {Set<string>} */
    this.marks = new Set()
    /** By run, with what they show. @type {Map<string, {row: HTMLElement, told: string}>} */
    this.rows = new Map()
    this.place = element('li', { role: 'presentation', class: 'place' }, [detail])
    this.place.style.minHeight = `${SEEN}px` // to be scrolled to before the detail is filled
    this.element = element('ul', {
      class: 'runs',
      role: 'listbox',
      'aria-label': translate('tab.title'),
      onkeydown: (/** @type {KeyboardEvent} */ event) => this.pressed(event)
    })
  }

  /**
   * @param {Summary[]} runs those that are listed
   * @param {Map<string, string>} names
   * @param {string} chosen id of the run whose detail is shown, '' for none
   */
  update(runs, names, chosen) {
    this.chosen = chosen
    this.dropGone(new Set(runs.map((run) => run.id)))
    const reached = this.rows.has(chosen) ? chosen : runs[0]?.id
    /** @type {HTMLElement[]} */
    const wanted = []
    for (const run of runs) {
      const shown = this.rows.get(run.id) ?? this.newRow(run.id)
      const name = names.get(run.id) ?? run.id
      const told = rowKey(run, name)
      if (shown.told !== told) this.fillRow(shown.row, run, name)
      shown.told = told
      this.setRow(shown.row, run.id, run.id === reached)
      wanted.push(shown.row)
      if (run.id === chosen) wanted.push(this.place)
    }
    if (!runs.some((run) => run.id === chosen)) this.place.remove()
    wanted.forEach((part, index) => {
      const there = this.element.children[index]
      if (there !== part) this.element.insertBefore(part, there ?? null)
    })
    if (this.isNew && this.place.isConnected) this.reveal()
  }

  /** Scrolls the chosen row to the top if little would be seen of what has opened below it. */
  reveal() {
    this.isNew = false
    const end = this.element.parentElement?.getBoundingClientRect().bottom ?? Infinity
    const { top } = this.place.getBoundingClientRect()
    if (top + SEEN > end) this.rows.get(this.chosen)?.row.scrollIntoView({ block: 'start' })
  }

  /** @param {Set<string>} listed */
  dropGone(listed) {
    for (const [id, { row }] of this.rows) {
      if (listed.has(id)) continue
      row.remove()
      this.rows.delete(id)
      this.marks.delete(id)
    }
  }

  /**
   * @param {HTMLElement} row
   * @param {string} id
   * @param {boolean} isReached whether Tab leads to it
   */
  setRow(row, id, isReached) {
    const isMarked = this.marks.has(id)
    setAttribute(row, 'aria-selected', String(id === this.chosen))
    setAttribute(row, 'aria-checked', String(isMarked))
    setAttribute(row, 'tabindex', isReached ? 0 : -1)
    const box = /** @type {HTMLInputElement} */ (row.children[0])
    box.checked = isMarked
  }

  /**
   * @param {HTMLElement} row
   * @param {Summary} run
   * @param {string} name
   */
  fillRow(row, run, name) {
    const t = this.translate
    row.dataset.state = run.state
    const [box, title, state, facts] = row.children
    setAttribute(box, 'title', t('tab.mark', { run: name }))
    setText(title, name)
    setText(state, t(`state.${stateKey(run)}`))
    const steps = `${whole(run.step, this.locale)} / ${whole(run.total, this.locale)}`
    const gone = run.isGone ? t('tab.gone') : ''
    const told = [steps, moment(run.latest, this.locale), run.size ? bytes(run.size) : '', gone]
    setText(facts, told.filter(Boolean).join(' · '))
  }

  /** @param {string} id */
  newRow(id) {
    const mark = (/** @type {MouseEvent} */ event) => {
      event.stopPropagation()
      this.mark(id)
    }
    const box = element('input', { type: 'checkbox', tabindex: '-1', 'aria-hidden': 'true', onclick: mark })
    const parts = ['title', 'state', 'facts'].map((name) => element('span', { class: name }))
    const onclick = () => this.choose(id)
    const row = element('li', { role: 'option', 'data-run': id, onclick }, [box, ...parts])
    const shown = { row, told: '' }
    this.rows.set(id, shown)
    return shown
  }

  /** Of the run that is open already: closes it. @param {string} id */
  choose(id) {
    this.isNew = id !== this.chosen
    this.actions.choose(id === this.chosen ? '' : id)
  }

  /** @param {string} id */
  mark(id) {
    if (!this.marks.delete(id)) this.marks.add(id)
    this.actions.marked()
  }

  unmark() {
    this.marks.clear()
    this.actions.marked()
  }

  /** Enter opens, Space marks. @param {KeyboardEvent} event */
  pressed(event) {
    const rows = [...this.rows.values()].map(({ row }) => row)
    rows.sort((a, b) => (a.compareDocumentPosition(b) & Node.DOCUMENT_POSITION_FOLLOWING ? -1 : 1))
    const at = rows.findIndex((row) => row === document.activeElement)
    if (at < 0) return
    const id = String(rows[at].dataset.run)
    const vertical = { ArrowDown: 'ArrowRight', ArrowUp: 'ArrowLeft' }[event.key] ?? event.key
    const index = movedIndex(vertical, at, rows.length)
    if (event.key === 'Enter') this.choose(id)
    else if (event.key === ' ') this.mark(id)
    else if (index !== null) rows[index].focus()
    else return
    event.preventDefault()
  }
}

/**
 * All that a row tells: to write it costs more than to compare this, and a list that is read anew
 * has hundreds of rows.
 *
 * @param {Summary} run
 * @param {string} name
 */
function rowKey(run, name) {
  return [name, stateKey(run), run.step, run.total, run.latest, run.size, run.isGone].join()
}
