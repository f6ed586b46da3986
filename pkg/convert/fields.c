#include "convert/fields.h"

#define NOT_YET "not carried over yet: "
#define NOT "not carried over: "
#define TAGS NOT "give the objects the labels or annotations that you want instead"
#define VPC                                                                                               \
	NOT "the nodes' subnets and security groups take its place (on EKS also SecurityGroupPolicy), and a " \
		"NetworkPolicy"
#define ISOLATION NOT "a NetworkPolicy that allows the pods no egress does the same"
#define ROLE                                                                                               \
	NOT "give the role to a ServiceAccount (EKS: annotation eks.amazonaws.com/role-arn, or Pod Identity) " \
		"and name "                                                                                        \
		"it in the Model's spec.template.spec.serviceAccountName"
#define KMS \
	NOT "the disks of the nodes are encrypted by who makes the nodes (EC2NodeClass: blockDeviceMappings)"
#define SERVERLESS NOT "there is no serverless serving; instances can be scaled to 0 with spec.instanceCount"
#define MANAGED NOT_YET "an HPA or KEDA can scale the endpoint, through its scale subresource"
#define ROUTING NOT_YET "requests reach the instances through a plain Service"
#define CAPTURE NOT "log requests and answers in a proxy, or in the model server"
#define ASYNC NOT_YET "there is no queue: clients call the endpoint's Service and wait for the answer"
#define EXPLAINER NOT "run the explainer as a service of its own"
#define SHADOW NOT "make an endpoint of its own for it and mirror the traffic in a proxy or service mesh"
#define METRICS NOT "Prometheus scrapes the instances as often as its configuration says"
#define RESERVATION                                                                   \
	NOT "let a pool's nodeSelector name the label of the reserved nodes (Karpenter: " \
		"karpenter.sh/capacity-type: "                                                \
		"reserved)"

const struct field model_fields[] = {
	{"ModelName"},
	{"PrimaryContainer"},
	{"Containers"},
	{"InferenceExecutionConfig", FIELD_LEFT, NOT "a Model has one container that serves"},
	{"ExecutionRoleArn", FIELD_LEFT, ROLE},
	{"Tags", FIELD_LEFT, TAGS},
	{"VpcConfig", FIELD_LEFT, VPC},
	{"EnableNetworkIsolation", FIELD_LEFT, ISOLATION},
	{"CreationTime", FIELD_RECORD},
	{"ModelArn", FIELD_RECORD},
	{"DeploymentRecommendation", FIELD_RECORD},
	{0},
};

const struct field container_fields[] = {
	{"ContainerHostname"},
	{"Image"},
	{"Environment"},
	{"ModelDataUrl"},
	{"ModelDataSource"},
	{"AdditionalModelDataSources"},
	{"Mode"},
	{"ImageConfig", FIELD_LEFT,
     NOT "for a private registry name a Secret in the Model's spec.template.spec.imagePullSecrets"},
	{"ModelPackageName", FIELD_LEFT,
     NOT "a model package has image and data of its own: aws sagemaker describe-model-package shows them; "
         "put them "
         "into the Model"},
	{"InferenceSpecificationName", FIELD_LEFT, NOT "it chooses among those of the model package"},
	{"MultiModelConfig", FIELD_LEFT, NOT "a Model serves one model"},
	{0},
};

const struct field model_source_fields[] = {{"ChannelName"}, {"S3DataSource"}, {0}};

const struct field s3_source_fields[] = {
	{"S3Uri"},
	{"S3DataType"},
	{"CompressionType"},
	{"ModelAccessConfig", FIELD_LEFT, NOT "accepting the licence is between you and the model's maker"},
	{"HubAccessConfig", FIELD_LEFT, NOT "copy the hub's content to a bucket of yours"},
	{"ManifestS3Uri", FIELD_LEFT, NOT "the init container has to fetch the files that the manifest names"},
	{"ETag", FIELD_LEFT, NOT "the init container has to check what it fetched"},
	{"ManifestEtag", FIELD_LEFT, NOT "the init container has to check what it fetched"},
	{0},
};

const struct field config_fields[] = {
	{"EndpointConfigName"},
	{"ProductionVariants"},
	{"ShadowProductionVariants", FIELD_LEFT, SHADOW},
	{"DataCaptureConfig", FIELD_LEFT, CAPTURE},
	{"AsyncInferenceConfig", FIELD_LEFT, ASYNC},
	{"ExplainerConfig", FIELD_LEFT, EXPLAINER},
	{"MetricsConfig", FIELD_LEFT, METRICS},
	{"ExecutionRoleArn", FIELD_LEFT, ROLE},
	{"Tags", FIELD_LEFT, TAGS},
	{"KmsKeyId", FIELD_LEFT, KMS},
	{"VpcConfig", FIELD_LEFT, VPC},
	{"EnableNetworkIsolation", FIELD_LEFT, ISOLATION},
	{"CreationTime", FIELD_RECORD},
	{"EndpointConfigArn", FIELD_RECORD},
	{0},
};

const struct field variant_fields[] = {
	{"VariantName"},
	{"ModelName"},
	{"InitialInstanceCount"},
	{"InstanceType"},
	{"InstancePools"},
	{"InitialVariantWeight"},
	{"VariantInstanceProvisionTimeoutInSeconds"},
	{"ModelDataDownloadTimeoutInSeconds"},
	{"ContainerStartupHealthCheckTimeoutInSeconds"},
	{"AcceleratorType", FIELD_LEFT, NOT "Elastic Inference is no more"},
	{"CoreDumpConfig", FIELD_LEFT, NOT "where core dumps go is set on the nodes (the kernel's core_pattern)"},
	{"ServerlessConfig", FIELD_LEFT, SERVERLESS},
	{"VolumeSizeInGB", FIELD_LEFT,
     NOT "the nodes' disks are as large as who makes the nodes makes them; ask for room with requests of "
         "ephemeral-storage in the Model's template"},
	{"EnableSSMAccess", FIELD_LEFT, NOT "kubectl exec does it, for whom RBAC allows it"},
	{"ManagedInstanceScaling", FIELD_LEFT, MANAGED},
	{"RoutingConfig", FIELD_LEFT, ROUTING},
	{"InferenceAmiVersion", FIELD_LEFT,
     NOT "the nodes' image has the driver (EC2NodeClass: amiSelectorTerms)"},
	{"CapacityReservationConfig", FIELD_LEFT, RESERVATION},
	{0},
};

const struct field pool_fields[] = {{"InstanceType"}, {"Priority"}, {"ModelNameOverride"}, {0}};

const struct field endpoint_fields[] = {
	{"EndpointName"},
	{"EndpointConfigName"},
	{"ProductionVariants"},
	{"DeploymentConfig", FIELD_LEFT, NOT_YET "a changed Model or pool is rolled out one instance at a time"},
	{"LastDeploymentConfig", FIELD_LEFT,
     NOT_YET "a changed Model or pool is rolled out one instance at a time"},
	{"Tags", FIELD_LEFT, TAGS},
	{"PendingDeploymentSummary", FIELD_LEFT,
     NOT "an update is under way; what is converted is the configuration that EndpointConfigName names"},
	{"RetainAllVariantProperties", FIELD_LEFT,
     NOT "apply the endpoint without instanceCount to keep its count"},
	{"ExcludeRetainedVariantProperties", FIELD_LEFT,
     NOT "apply the endpoint without instanceCount to keep its count"},
	{"RetainDeploymentConfig", FIELD_LEFT, NOT "there is no deployment policy to keep"},
	/* What DescribeEndpoint repeats from the configuration, and tells of the present. */
	{"DataCaptureConfig", FIELD_RECORD},
	{"AsyncInferenceConfig", FIELD_RECORD},
	{"ExplainerConfig", FIELD_RECORD},
	{"MetricsConfig", FIELD_RECORD},
	{"ShadowProductionVariants", FIELD_RECORD},
	{"EndpointArn", FIELD_RECORD},
	{"EndpointStatus", FIELD_RECORD},
	{"FailureReason", FIELD_RECORD},
	{"CreationTime", FIELD_RECORD},
	{"LastModifiedTime", FIELD_RECORD},
	{0},
};

const struct field endpoint_variant_fields[] = {
	{"VariantName"},
	{"DesiredInstanceCount"},
	{"DesiredWeight"},
	{"CurrentInstanceCount", FIELD_RECORD},
	{"CurrentWeight", FIELD_RECORD},
	{"CurrentServerlessConfig", FIELD_RECORD},
	{"DesiredServerlessConfig", FIELD_RECORD},
	{"DeployedImages", FIELD_RECORD},
	{"VariantStatus", FIELD_RECORD},
	{"InstancePools", FIELD_RECORD},
	{"ManagedInstanceScaling", FIELD_RECORD},
	{"RoutingConfig", FIELD_RECORD},
	{"CapacityReservationConfig", FIELD_RECORD},
	{0},
};

static const struct field *find(const struct field *table, const char *name)
{
	for (; table->name; table++)
		if (str_eq(table->name, name))
			return table;
	return NULL;
}

/* Asks for nothing: as Describe calls answer what was not set. */
static bool is_nothing(const json_t *v)
{
	return json_is_null(v) || json_is_false(v) || (json_is_array(v) && json_array_size(v) == 0) ||
	       (json_is_object(v) && json_object_size(v) == 0);
}

void fields_note(struct conversion *c, const struct object *of, const char *path, json_t *o,
                 const struct field *table)
{
	const char *key, *records = NULL;
	json_t *v;

	json_object_foreach(o, key, v) {
		const struct field *f = find(table, key);

		if (!f)
			note(c, of, path_join(c, path, shown_text(c, key)), NULL,
			     "not carried over: no such field is known here");
		else if (f->fate == FIELD_LEFT && !is_nothing(v))
			note(c, of, path_join(c, path, key), v, "%s", f->why);
		else if (f->fate == FIELD_RECORD)
			records = records ? arena_printf(&c->arena, "%s, %s", records, key) : key;
	}
	if (records)
		note(c, of, path, NULL, "not carried over: %s: SageMaker's own records, or said elsewhere too",
		     records);
}
