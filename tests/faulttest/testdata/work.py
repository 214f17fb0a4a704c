# pmk: String:NEW -> String:DONE
def run(data):
    return data
