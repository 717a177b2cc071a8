"""What every benchmark needs: key figures, simulated counts, runs of documents, paced scans."""
