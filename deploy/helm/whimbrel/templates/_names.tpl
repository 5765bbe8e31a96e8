{{/* Names and labels. */}}

{{- define "whimbrel.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end }}

{{- define "whimbrel.fullname" -}}
{{- $name := include "whimbrel.name" . -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{- define "whimbrel.selector" -}}
app.kubernetes.io/name: {{ include "whimbrel.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "whimbrel.labels" -}}
{{ include "whimbrel.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "whimbrel.serviceAccount" -}}
{{- default (include "whimbrel.fullname" .) .Values.serviceAccount.name -}}
{{- end }}

{{- define "whimbrel.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{- printf "%s@%s" .repository .digest -}}
{{- else -}}
{{- printf "%s:%s" .repository (default $.Chart.AppVersion .tag) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "whimbrel.rabbitmqCluster" -}}
{{ include "whimbrel.fullname" . }}-rabbitmq
{{- end }}

{{- define "whimbrel.postgresqlCluster" -}}
{{ include "whimbrel.fullname" . }}-postgresql
{{- end }}

{{/* Which processes are long-lived. */}}
{{- define "whimbrel.roles" -}}
api ingest sender tracker
{{- end }}

{{/* The settings of a role: defaults, and what differs. Takes (list $ role); gives YAML. */}}
{{- define "whimbrel.role" -}}
{{- $root := index . 0 -}}
{{- mergeOverwrite (deepCopy $root.Values.defaults) (deepCopy (index $root.Values.roles (index . 1) | default dict)) | toYaml -}}
{{- end }}

{{/* The most replicas that a role can have. Takes its settings. */}}
{{- define "whimbrel.replicasMax" -}}
{{- if eq .autoscaling.engine "none" }}{{ .replicas }}{{ else }}{{ .autoscaling.max }}{{ end -}}
{{- end }}
