{{/* One node with security; indices are never created by accident. */}}
{{- define "imagesearch.elasticsearchYml" -}}
cluster.name: {{ include "imagesearch.name" (list . "elasticsearch") }}
node.name: single
network.host: 0.0.0.0
discovery.type: single-node
path.data: /usr/share/elasticsearch/data
path.logs: /usr/share/elasticsearch/logs
action.auto_create_index: false
# A laptop's disk is often fuller than a server's may be.
cluster.routing.allocation.disk.threshold_enabled: false
xpack.security.enabled: true
xpack.security.http.ssl.enabled: false
xpack.security.transport.ssl.enabled: false
{{- end }}
