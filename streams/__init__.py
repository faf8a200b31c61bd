"""Stream processing: raw topics -> clean topics on Faust, one Kafka transaction per interval. See README.md."""
