{{/* The name of nearly everything: the release's, which says what it is if it contains the chart's. */}}
{{- define "instancepool-operator.fullname" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{ .Release.Name }}
{{- else -}}
{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 53 | trimSuffix "-" }}
{{- end -}}
{{- end }}

{{/* What comes from outside goes through toYaml here and elsewhere: it quotes what would be a number or a boolean. */}}
{{- define "instancepool-operator.selectorLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name | toYaml }}
{{- end }}

{{- define "instancepool-operator.labels" -}}
{{ include "instancepool-operator.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "instancepool-operator.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{ .Values.serviceAccount.name | default (include "instancepool-operator.fullname" .) }}
{{- else -}}
{{ .Values.serviceAccount.name | default "default" }}
{{- end -}}
{{- end }}

{{- define "instancepool-operator.subjects" -}}
- kind: ServiceAccount
  name: {{ include "instancepool-operator.serviceAccountName" . | toYaml }}
  namespace: {{ .Release.Namespace | toYaml }}
{{- end }}

{{- define "instancepool-operator.image" -}}
{{ .Values.image.repository }}
{{- with .Values.image.digest -}}
@{{ . }}
{{- else -}}
:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end }}

{{/* "true" or "false"; an absent value is decided by watchNamespaces. */}}
{{- define "instancepool-operator.watchNodes" -}}
{{- if kindIs "bool" .Values.watchNodes -}}
{{ .Values.watchNodes }}
{{- else -}}
{{ empty .Values.watchNamespaces }}
{{- end -}}
{{- end }}

{{/* What all operator pods share: the Deployment's and that of `helm test`. */}}
{{- define "instancepool-operator.podSecurity" -}}
serviceAccountName: {{ include "instancepool-operator.serviceAccountName" . | toYaml }}
automountServiceAccountToken: true
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  seccompProfile:
    type: RuntimeDefault
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
{{ toYaml . }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
{{ toYaml . | indent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
{{ toYaml . }}
{{- end }}
{{- with .Values.affinity }}
affinity:
{{ toYaml . | indent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . | toYaml }}
{{- end }}
{{- end }}

{{- define "instancepool-operator.containerSecurity" -}}
image: {{ include "instancepool-operator.image" . | toYaml }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- end }}

{{- define "instancepool-operator.args" -}}
- --node-autoscaler={{ .Values.nodeAutoscaler }}
{{- with .Values.watchNamespaces }}
- --namespace={{ join "," . }}
{{- end }}
{{- if ne (include "instancepool-operator.watchNodes" .) "true" }}
- --watch-nodes=false
{{- end }}
- --leader-elect
- --leader-elect-resource-namespace={{ .Release.Namespace }}
- --leader-elect-resource-name={{ include "instancepool-operator.fullname" . }}
- --log-level={{ .Values.logLevel }}
- --log-format={{ .Values.logFormat }}
{{- end }}
