/**
 * Which nodes are in the graph, by which ids the server knows them, and which run is theirs.
 *
 * The server knows a node in a subgraph by the way to it: "12:3" is node 3 in the subgraph of node
 * 12. One subgraph may be used by several nodes, so a node can have several such ids.
 *
 * @typedef {{id: string | number, subgraph?: Graph}} GraphNode
 * @typedef {{nodes: GraphNode[]}} Graph
 */
import { isActive } from '../runs/run_state.js'

/**
 * Every node that can be reached from `root`, with its ids. What was copied to a clipboard, or was
 * in a graph before it, is not among them, whether the page tells of its end or not.
 *
 * @param {Graph | null | undefined} root
 * @param {string} [way] to root
 * @param {Map<any, string[]>} [found]
 * @returns {Map<any, string[]>}
 */
export function placedNodes(root, way = '', found = new Map()) {
  for (const node of root?.nodes ?? []) {
    const id = `${way}${node.id}`
    found.set(node, [...(found.get(node) ?? []), id])
    if (node.subgraph) placedNodes(node.subgraph, `${id}:`, found)
  }
  return found
}

/**
 * The run to show on a node: of its ids and its graph, one that goes on before one that is over,
 * then the one that was used last. A run from a script came without a graph and is no node's. A run
 * may belong to several nodes, as a copied node reuses what the first one learned.
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
    ids.includes(node) && workflow === workflowId
  const own = runs.filter((run) => [[run.node_id, run.workflow_id], ...(run.nodes ?? [])].some(isOwn))
  own.sort((a, b) => Number(isActive(b)) - Number(isActive(a)) || b.latest - a.latest)
  return own[0] ?? null
}
