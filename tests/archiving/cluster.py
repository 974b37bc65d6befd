"""A Ray cluster on this computer: says its address, then does what it is told, line by line."""

from __future__ import annotations

import sys

from ray.cluster_utils import Cluster

cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
sys.stdout.write(f"{cluster.address}\n")
sys.stdout.flush()
nodes = []
for line in sys.stdin:
    if line == "add\n":
        nodes.append(cluster.add_node(num_cpus=1))
    elif line == "kill\n":
        cluster.remove_node(nodes.pop(), allow_graceful=False)
    sys.stdout.write("done\n")
    sys.stdout.flush()
cluster.shutdown()
