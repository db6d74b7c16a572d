/**
 * The head of a panel: what the run does, how far it is, how long it took and takes, and why it
 * failed.
 *
 * @typedef {import('../runs/run_state.js').Run} Run
 * @typedef {import('../text/texts.js').Translate} Translate
 */
import { element, setText } from '../page/elements.js'
import { stateKey } from '../runs/run_state.js'
import { timesOf } from '../runs/run_times.js'
import { clock, figure, NONE, whole } from '../text/format.js'

export class RunHeader {
  /**
   * @param {Translate} translate
   * @param {string} locale
   */
  constructor(translate, locale) {
    this.translate = translate
    this.locale = locale
    this.build()
  }

  build() {
    this.state = element('strong', { class: 'state' })
    this.doing = element('span', { class: 'doing' })
    this.steps = element('span', { class: 'steps' })
    this.times = element('span', { class: 'times' })
    this.progress = element('progress', { max: '1', 'aria-label': this.translate('panel.progress') })
    this.message = element('p', { class: 'message', hidden: true })
    this.element = element('header', {}, [
      element('div', { class: 'line' }, [this.state, this.doing, this.steps, this.times]),
      this.progress,
      this.message
    ])
  }

  /**
   * @param {Run} run
   * @param {{now: number, isCancelling: boolean}} shown now: on the page's clock
   */
  update(run, { now, isCancelling }) {
    const t = this.translate
    setText(this.state, t(isCancelling ? 'state.cancelling' : `state.${stateKey(run)}`))
    setText(this.doing, run.doing ? t(`doing.${run.doing}`) : '')
    const [step, total] = [whole(run.step, this.locale), whole(run.total, this.locale)]
    setText(this.steps, run.total ? `${step} / ${total}` : NONE)
    const { elapsed, left } = timesOf(run, now)
    const times = [
      t('panel.elapsed', { time: clock(elapsed) }),
      left === null ? '' : t('panel.left', { time: clock(left) }),
      t('panel.perStep', { seconds: figure(run.seconds_per_step) })
    ]
    setText(this.times, times.filter(Boolean).join(' · '))
    this.progress.value = run.total ? run.step / run.total : 0
    const messages = [run.isGone ? t('panel.gone') : '', run.message].filter(Boolean)
    this.message.hidden = messages.length === 0
    setText(this.message, messages.join('\n'))
  }
}
