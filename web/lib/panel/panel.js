/**
 * The live training panel of one node: header, buttons, end, chart, figures, samples.
 *
 * @typedef {import('../runs/run_state.js').Run} Run
 * @typedef {import('../runs/run_state.js').Summary} Summary
 * @typedef {import('../text/texts.js').Translate} Translate
 * @typedef {'stop' | 'save' | 'sample' | 'pause'} Command
 * @typedef {{
 *   ask: (run: Run, command: Command) => void, resume: (run: Run) => void,
 *   cancel: (promptId: string) => void,
 *   apply: (run: Run) => void, overlay: (id: string) => void
 * }} Actions
 * @typedef {{run: Run | null, others: Summary[], other: Run | null, loaded: boolean, now: number,
 *   names: Map<string, string>, error: string | null, isAway: boolean, isCancelling: boolean,
 *   waiting?: import('../runs/waiting.js').Waiting | null}} Shown now: on the page's clock. error: a
 *   text. isAway: the server cannot be reached. isCancelling: the run is about to end. waiting: a
 *   prompt without a run
 */
import { LossChart, START_VIEW } from '../chart/chart.js'
import { button, element, setAttribute, setText } from '../page/elements.js'
import { keptInPanel } from '../page/keyboard.js'
import { ASKABLE, isActive, stateKey } from '../runs/run_state.js'
import { announcement } from './announcement.js'
import { RunHeader } from './header.js'
import { SamplePlayer } from './player.js'
import { SettingsFold } from './settings_fold.js'
import { statRows } from './stats.js'

/** @type {[Command, string][]} */
const COMMANDS = [
  ['stop', 'primary'],
  ['save', ''],
  ['sample', ''],
  ['pause', '']
]

/** @type {Shown} */
const NOTHING = {
  run: null,
  others: [],
  other: null,
  loaded: false,
  now: 0,
  names: new Map(),
  error: null,
  isAway: false,
  isCancelling: false
}

export class TrainingPanel {
  /**
   * @param {Translate} translate
   * @param {string} locale
   * @param {Actions} actions
   * @param {(run: Run, file: string) => string} url
   */
  constructor(translate, locale, actions, url) {
    this.translate = translate
    this.locale = locale
    this.actions = actions
    /** @type {Shown} */
    this.shown = { ...NOTHING }
    this.view = START_VIEW
    this.head = new RunHeader(translate, locale)
    this.chart = new LossChart(translate, locale)
    this.player = new SamplePlayer(translate, locale, url)
    this.settings = new SettingsFold(translate)
    this.build()
    this.update(this.shown)
  }

  build() {
    const t = this.translate
    this.empty = element('p', { class: 'empty' })
    this.leave = button('leave', t('commands.cancel'), t('commands.cancelHint'), () => this.cancel())
    this.before = element('div', { class: 'before' }, [this.empty, this.leave])
    this.error = element('p', { class: 'error', role: 'alert', hidden: true })
    this.announced = element('div', { class: 'unseen', role: 'status', 'aria-live': 'polite' })
    this.body = element('div', { class: 'body' }, [
      this.head.element,
      this.buttons(),
      this.ending(),
      element('div', { class: 'curves-part' }, [
        this.chart.element,
        element('div', { class: 'below' }, [this.chart.legend, this.switches()]),
        (this.stats = element('dl', { class: 'stats' }))
      ]),
      this.player.element,
      this.settings.element
    ])
    this.element = element(
      'section',
      {
        class: 'motion-adapters-panel',
        'aria-label': t('panel.title'),
        onkeydown: keptInPanel,
        onwheel: (/** @type {WheelEvent} */ event) => this.scrolled(event)
      },
      [this.announced, this.error, this.before, this.body]
    )
  }

  switches() {
    const t = this.translate
    this.smoothing = element('input', {
      type: 'range',
      min: '0',
      max: '0.99',
      step: '0.01',
      value: String(this.view.decay),
      oninput: () => this.look({ decay: Number(this.smoothing.value) })
    })
    this.overlay = element('select', {
      'aria-label': t('panel.compare'),
      onchange: () => this.actions.overlay(this.overlay.value)
    })
    return element('div', { class: 'switches' }, [
      this.toggle('log', t('panel.log'), t('panel.logHint')),
      this.toggle('fixed', t('panel.fixed'), t('panel.fixedHint')),
      element('label', { title: t('panel.smoothingHint') }, [t('panel.smoothing'), this.smoothing]),
      this.overlay
    ])
  }

  /**
   * @param {'log' | 'fixed'} name
   * @param {string} label
   * @param {string} hint
   */
  toggle(name, label, hint) {
    const box = element('input', {
      type: 'checkbox',
      name,
      onchange: () => this.look({ [name]: box.checked })
    })
    return element('label', { title: hint }, [box, label])
  }

  buttons() {
    const t = this.translate
    /** @type {Map<Command, HTMLButtonElement>} */
    this.commands = new Map()
    for (const [command, kind] of COMMANDS) {
      const ask = () => this.shown.run && this.actions.ask(this.shown.run, command)
      const texts = [t(`commands.${command}`), t(`commands.${command}Hint`)]
      this.commands.set(command, button(`${command} ${kind}`.trim(), ...texts, ask))
    }
    const group = { class: 'buttons', role: 'group', 'aria-label': t('panel.group') }
    const hint = t('commands.cancelHint')
    this.stopped = button('cancel', t('commands.cancel'), hint, () => this.cancel())
    this.working = element('div', group, [...this.commands.values(), this.stopped])
    return this.working
  }

  ending() {
    const t = this.translate
    const made = (/** @type {'apply' | 'resume'} */ name) =>
      button(name, t(`panel.${name}`), t(`panel.${name}Hint`), () => {
        if (this.shown.run) this.actions[name](this.shown.run)
      })
    this.saved = element('span', { class: 'saved' })
    this.apply = made('apply')
    this.resume = made('resume')
    const group = { class: 'end', role: 'group', 'aria-label': t('panel.end'), hidden: true }
    this.end = element('div', group, [this.saved, this.apply, this.resume])
    return this.end
  }

  /** @param {Partial<import('../chart/chart.js').View>} change */
  look(change) {
    this.view = { ...this.view, ...change }
    this.chart.update(this.shown.run, this.shown.other, this.view)
  }

  /** What is to come, else what goes on. */
  cancel() {
    const { run, waiting } = this.shown
    const prompt = waiting ? waiting.promptId : run?.prompt_id
    if (prompt) this.actions.cancel(prompt)
  }

  /** The panel scrolls where it is too long for the node; else the wheel is the graph's. */
  scrolled(/** @type {WheelEvent} */ event) {
    const { scrollHeight, clientHeight } = this.element
    if (scrollHeight > clientHeight && !event.ctrlKey) event.stopPropagation()
  }

  /** @param {Shown} shown */
  update(shown) {
    const said = announcement(this.translate, this.locale, this.shown.run, shown.run)
    if (said) setText(this.announced, said)
    this.shown = shown
    const { run } = shown
    this.body.hidden = run === null
    this.updateBefore(shown)
    this.error.hidden = shown.error === null
    setText(this.error, shown.error ?? '')
    this.player.update(run)
    if (run === null) return
    this.element.dataset.state = run.state
    this.head.update(run, shown)
    this.updateOverlay(shown)
    this.chart.update(run, shown.other, this.view)
    this.updateStats(run)
    this.updateButtons(shown, run)
    this.settings.update(run.settings)
  }

  /** What is said before there is a run, or above the one before. @param {Shown} shown */
  updateBefore({ run, waiting, loaded, error, isAway }) {
    const t = this.translate
    const isSaid = Boolean(waiting) && !isAway
    this.before.hidden = !isSaid && (run !== null || (error !== null && !loaded))
    const nothing = t(loaded ? 'panel.empty' : 'panel.loading')
    setText(this.empty, waiting && isSaid ? t(`waiting.${waiting.phase}`) : nothing)
    this.leave.hidden = !isSaid
    this.leave.disabled = !waiting?.promptId || waiting.phase === 'cancelling'
  }

  /** @param {Shown} shown */
  updateOverlay({ others, other, names }) {
    const wanted = others.map((run) => `${run.id} ${names.get(run.id)}`).join('\n')
    this.overlay.hidden = others.length === 0
    if (this.overlay.dataset.runs !== wanted) {
      this.overlay.dataset.runs = wanted
      const none = element('option', { value: '', text: this.translate('panel.compareNone') })
      const options = others.map((run) =>
        element('option', { value: run.id, text: names.get(run.id) ?? run.id })
      )
      this.overlay.replaceChildren(none, ...options)
    }
    this.overlay.value = other?.id ?? ''
  }

  /** @param {Run} run */
  updateStats(run) {
    const rows = statRows(this.translate, this.locale, run)
    if (this.stats.childElementCount !== rows.length) {
      const pairs = rows.map(() => element('div', {}, [element('dt'), element('dd')]))
      this.stats.replaceChildren(...pairs)
    }
    rows.forEach(([name, value], index) => {
      const pair = this.stats.children[index]
      setText(pair.children[0], name)
      setText(pair.children[1], value)
    })
  }

  /**
   * @param {Shown} shown
   * @param {Run} run
   */
  updateButtons({ isAway, isCancelling }, run) {
    const active = isActive(run)
    const isEnding = isCancelling || run.asked.includes('stop') || run.asked.includes('pause')
    this.working.hidden = !active
    for (const [command, button] of this.commands) {
      const asked = run.asked.includes(command)
      button.hidden = !ASKABLE.includes(run.state)
      button.disabled = asked || isEnding || isAway
      button.classList.toggle('asked', asked)
      setAttribute(button, 'aria-busy', String(asked))
    }
    this.stopped.disabled = isCancelling || isAway || !run.prompt_id
    setAttribute(this.stopped, 'aria-busy', String(isCancelling))
    const names = run.saved_as.join(', ')
    setText(this.saved, names ? this.translate('panel.savedAs', { names }) : '')
    this.saved.hidden = names === ''
    this.apply.hidden = names === '' || active
    this.resume.hidden = !run.can_resume || active
    this.apply.disabled = isAway
    this.resume.disabled = run.asked.includes('resume') || isAway
    const hint = stateKey(run) === 'stopped' ? 'panel.resumeKeptHint' : 'panel.resumeHint'
    setAttribute(this.resume, 'title', this.translate(hint))
    this.end.hidden = this.saved.hidden && this.resume.hidden
  }

  destroy() {
    this.chart.destroy()
    this.player.destroy()
    this.element.remove()
  }
}
