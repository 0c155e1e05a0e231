"""Items by HTTP, kept in Firestore; what is said of them by Pub/Sub is kept beside them."""

import base64

import functions_framework
from flask import jsonify
from google.cloud import firestore

db = firestore.Client()


@functions_framework.http
def make_item(request):
    item = request.get_json(silent=True)
    if not isinstance(item, dict) or not item.get("name"):
        return jsonify({"error": "An item has a name."}), 400
    made = db.collection("items").document()
    made.set({"name": item["name"], "made_at": firestore.SERVER_TIMESTAMP})
    return jsonify({"id": made.id, "name": item["name"]}), 201


@functions_framework.cloud_event
def note_item(event):
    text = base64.b64decode(event.data["message"]["data"]).decode()
    print(f"noted {text}")
    db.collection("notes").add({"text": text})
