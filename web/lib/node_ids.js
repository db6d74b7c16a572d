/**
 * Which run belongs to a node of the graph that is shown.
 *
 * The server knows a node in a subgraph by the way to it: "12:3" is node 3 in the subgraph of node
 * 12. One subgraph may be used by several nodes, so a node can have several such ids.
 *
 * @typedef {{id: string | number, subgraph?: Graph, isSubgraphNode?: () => boolean}} GraphNode
 * @typedef {{nodes: GraphNode[]}} Graph
 */
import { isActive } from './run_state.js'

/**
 * Every id by which the server may know node `id` of `graph`, seen from `root`.
 *
 * @param {Graph} root
 * @param {Graph} graph
 * @param {string | number} id
 * @returns {string[]}
 */
export function executionIds(root, graph, id) {
  if (graph === root) return [String(id)]
  const found = []
  for (const node of root.nodes) {
    if (!node.subgraph) continue
    for (const inner of executionIds(node.subgraph, graph, id)) found.push(`${node.id}:${inner}`)
  }
  return found
}

/**
 * The run to show on a node: of its ids and its graph, one that goes on before one that is over,
 * then the one that was used last. A run from a script has no graph and goes by its node id alone. A
 * run may belong to several nodes, as a copied node reuses what the first one learned.
 *
 * @template {{node_id: string, workflow_id: string, nodes?: [string, string][], latest: number,
 *   state: string}} R
 * @param {R[]} runs
 * @param {string[]} ids
 * @param {string} workflowId
 * @returns {R | null}
 */
export function runOfNode(runs, ids, workflowId) {
  const isOwn = (/** @type {[string, string]} */ [node, workflow]) =>
    ids.includes(node) && (workflow === '' || workflow === workflowId)
  const own = runs.filter((run) => [[run.node_id, run.workflow_id], ...(run.nodes ?? [])].some(isOwn))
  own.sort((a, b) => Number(isActive(b)) - Number(isActive(a)) || b.latest - a.latest)
  return own[0] ?? null
}
