{{- define "uptake.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "uptake.selector" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "uptake.labels" -}}
{{ include "uptake.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "uptake.serviceAccount" -}}
{{- default (ternary (include "uptake.fullname" .) "default" .Values.serviceAccount.create) .Values.serviceAccount.name -}}
{{- end -}}

{{- define "uptake.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end -}}
{{- end -}}

{{- define "uptake.ports" -}}
{ingest: 8081, api: 8080, aggregator: 8082, notifier: 8079}
{{- end -}}

{{/* Whose a secret setting is, where it is not everybody's. */}}
{{- define "uptake.secretOf" -}}
{admin_key: [api], seal_key: [ingest, api, notifier], smtp_password: [notifier]}
{{- end -}}

{{/* The environment of one process: (dict "root" $ "service" "api") */}}
{{- define "uptake.env" -}}
{{- $root := .root -}}{{- $service := .service -}}
{{- $of := include "uptake.secretOf" $root | fromYaml -}}
- {name: UPTAKE_KAFKA, value: {{ $root.Values.kafka.bootstrapServers | quote }}}
- {name: UPTAKE_PARTITIONS, value: {{ $root.Values.kafka.partitions | toJson | quote }}}
- {name: UPTAKE_REPLICATION, value: {{ $root.Values.kafka.replication | toJson | quote }}}
- {name: UPTAKE_DRAIN_SECONDS, value: {{ $root.Values.drainSeconds | toJson | quote }}}
{{- range $name, $key := $root.Values.secretKeys }}
{{- if or (not (hasKey $of $name)) (has $service (get $of $name)) }}
- name: UPTAKE_{{ upper $name }}
  valueFrom:
    secretKeyRef: {name: {{ $root.Values.existingSecret }}, key: {{ $key }}, optional: {{ ne $name "database" }}}
{{- end }}
{{- end }}
{{- range $name, $value := $root.Values.settings }}
- {name: UPTAKE_{{ upper $name }}, value: {{ ternary $value ($value | toJson) (kindIs "string" $value) | quote }}}
{{- end }}
{{- with $root.Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Whether something else than the chart says how many there are: (dict "root" $ "service" "api") */}}
{{- define "uptake.scaled" -}}
{{- $scaling := (get .root.Values .service).autoscaling | default dict -}}
{{- or $scaling.enabled (has ($scaling.mode | default "none") (list "keda" "external")) -}}
{{- end -}}

{{/* A container that may do nothing but its work: (dict "root" $ "service" "api" "command" "api") */}}
{{- define "uptake.container" -}}
image: {{ include "uptake.image" .root }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
args: [{{ .command }}]
env:
  {{- include "uptake.env" . | nindent 2 }}
resources:
  {{- toYaml (get .root.Values .service).resources | nindent 2 }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
volumeMounts:
  - {name: tmp, mountPath: /tmp}
  {{- if eq .service "ingest" }}
  - {name: state, mountPath: /var/lib/uptake}
  {{- end }}
  {{- with .root.Values.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{- define "uptake.pod.security" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{/* The pods of a service: (dict "root" $ "service" "api") */}}
{{- define "uptake.pod" -}}
{{- $values := get .root.Values .service -}}
{{- $port := get (include "uptake.ports" .root | fromYaml) .service | int -}}
{{- $drain := .root.Values.drainSeconds | int -}}
{{- $grace := dict "ingest" (add 25 $drain) "api" (add 15 $drain) "aggregator" 30 "notifier" 20 -}}
metadata:
  labels:
    {{- include "uptake.labels" .root | nindent 4 }}
    app.kubernetes.io/component: {{ .service }}
  {{- with $values.podAnnotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  serviceAccountName: {{ include "uptake.serviceAccount" .root }}
  automountServiceAccountToken: false
  # A Service "uptake-api" would else set UPTAKE_API_PORT, which is a setting, to an address.
  enableServiceLinks: false
  # As long as the process may need to end by itself.
  terminationGracePeriodSeconds: {{ get $grace .service }}
  securityContext:
    {{- include "uptake.pod.security" .root | nindent 4 }}
  {{- with .root.Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
    - name: {{ .service }}
      {{- include "uptake.container" (dict "root" .root "service" .service "command" .service) | nindent 6 }}
      ports:
        - {name: http, containerPort: {{ $port }}}
      # Engines that are away for minutes are no reason to begin again.
      startupProbe:
        httpGet: {path: {{ ternary "/readyz" "/healthz" (eq .service "ingest") }}, port: http}
        periodSeconds: 2
        timeoutSeconds: 4
        failureThreshold: 300
      {{- if eq .service "ingest" }}
      # Once it knows its keys it stays in the Service, whatever Kafka does: it answers 503 to who repeats, and takes
      # into the spool what nobody would send again.
      {{- end }}
      readinessProbe:
        httpGet: {path: {{ ternary "/healthz" "/readyz" (eq .service "ingest") }}, port: http}
        periodSeconds: 3
        timeoutSeconds: 4
        failureThreshold: 2
      livenessProbe:
        httpGet: {path: /healthz, port: http}
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
  volumes:
    - {name: tmp, emptyDir: {}}
    {{- if and (eq .service "ingest") (not $values.persistence.enabled) }}
    - {name: state, emptyDir: {}}
    {{- end }}
    {{- with .root.Values.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  topologySpreadConstraints:
    {{- range $key := list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
    - maxSkew: 1
      topologyKey: {{ $key }}
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "uptake.selector" $.root | nindent 10 }}
          app.kubernetes.io/component: {{ $.service }}
    {{- end }}
  {{- with $values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}

{{/* The head of an object: (dict "root" $ "name" "api" "component" "api") */}}
{{- define "uptake.metadata" -}}
name: {{ include "uptake.fullname" .root }}-{{ .name }}
labels:
  {{- include "uptake.labels" .root | nindent 2 }}
  {{- with .component }}
  app.kubernetes.io/component: {{ . }}
  {{- end }}
{{- end -}}
