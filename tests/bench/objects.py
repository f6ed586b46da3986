"""The objects that the programs have to do with."""

PER_POOL, POOLS = 4, ("a1.bench", "b1.bench", "c1.bench")
INSTANCES = PER_POOL * len(POOLS)  # of an endpoint of which every pool is full
GPUS = 250  # of a node: that many instances


def model(name, env=None, **pod):
    """With eight environment variables, some of which may be given."""
    env = {**{f"SETTING_{i}": "some value" for i in range(8)}, **(env or {})}
    return {"apiVersion": "inference.instancepool.dev/v1alpha1", "kind": "Model", "metadata": {"name": name},
            "spec": {"server": {"port": 8080, "healthPath": "/ping"}, "template": {"spec": {**pod, "containers": [{
                "name": "server", "image": "example/llm:1",
                "args": ["--tensor-parallel-size=1", "--max-model-len=8192"],
                "env": [{"name": name, "value": value} for name, value in env.items()],
                "ports": [{"containerPort": 8080}], "resources": {"limits": {"nvidia.com/gpu": 1}}}]}}}}


def endpoint(name, count, instance_pools, model_name="llm"):
    return {"apiVersion": "inference.instancepool.dev/v1alpha1", "kind": "InstancePoolEndpoint",
            "metadata": {"name": name},
            "spec": {"modelName": model_name, "instanceCount": count, "instancePools": instance_pools}}


def pools(priorities=(1, 2, 3)):
    """Three of them with room for four instances each."""
    return [{"instanceType": "ml." + t, "priority": p, "maxInstanceCount": PER_POOL}
            for t, p in zip(POOLS, priorities, strict=True)]


def name_of(i):
    return f"endpoint-{i:04d}"
