#!/usr/bin/env bash
# Start Kafka as the image apache/kafka does: KAFKA_A_B becomes the property a.b (two underscores: one underscore, three: a
# dash), the storage is formatted once for CLUSTER_ID, the broker runs in the foreground.
set -euo pipefail

: "${CLUSTER_ID:=5L6g3nShT-eMCtK--X86sw}"
: "${KAFKA_LOG_DIRS:=/tmp/kraft-combined-logs}"
export KAFKA_LOG_DIRS
properties=/opt/kafka/config/server.properties
: > "$properties"
for name in "${!KAFKA_@}"; do
  case "$name" in
    KAFKA_HEAP_OPTS | KAFKA_OPTS | KAFKA_JVM_PERFORMANCE_OPTS | KAFKA_HOME | KAFKA_VERSION) continue ;;
  esac
  key=${name#KAFKA_}
  key=${key//___/-}
  key=${key//__/%}
  key=${key//_/.}
  key=${key//%/_}
  printf '%s=%s\n' "${key,,}" "${!name}" >> "$properties"
done

java=(java -Djava.awt.headless=true -Dlog4j2.configurationFile=/opt/kafka/config/log4j2.properties -cp '/opt/kafka/libs/*')
"${java[@]}" -Xmx128m -XX:TieredStopAtLevel=1 kafka.tools.StorageTool format --ignore-formatted -t "$CLUSTER_ID" -c "$properties"
read -ra options <<< "${KAFKA_HEAP_OPTS:--Xms256m -Xmx1g} -XX:+UseSerialGC ${KAFKA_OPTS:-}"
exec "${java[@]}" "${options[@]}" kafka.Kafka "$properties"
